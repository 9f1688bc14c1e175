"""What the integration tests share: Gatepost under test, certificates, wire
clients that send any bytes in any pieces, scripted backends, real Dovecots."""
