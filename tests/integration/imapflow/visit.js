// One visit by imapflow: reads what to do as JSON from standard input and
// writes what it saw as JSON. NODE_PATH says where the library is.
"use strict";

const fs = require("fs");
const { ImapFlow } = require("imapflow");

async function visit(wish) {
    const client = new ImapFlow({
        host: "127.0.0.1",
        port: wish.port,
        secure: !wish.starttls,
        doSTARTTLS: wish.starttls ? true : undefined,
        servername: wish.name,
        tls: { ca: fs.readFileSync(wish.ca) },
        auth: { user: wish.user, pass: wish.password },
        logger: false,
    });
    const seen = {};

    client.on("error", (failure) => console.error(failure));
    await client.connect();
    seen.list = (await client.list()).map((folder) => folder.path);
    seen.select = (await client.mailboxOpen("INBOX")).exists;
    seen.search = await client.search({ subject: wish.wanted });
    const found = await client.fetchOne(seen.search[0], { source: true });
    seen.fetch = found.source.toString();
    const kept = await client.append("INBOX", wish.message);
    seen.append = kept.destination;
    await client.logout();
    return seen;
}

visit(JSON.parse(fs.readFileSync(0, "utf8"))).then(
    (seen) => console.log(JSON.stringify(seen)),
    (failure) => {
        console.error(failure);
        process.exitCode = 1;
    },
);
