#include "state/heir_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
    NEWS_SIZE = 1 + 8 + 8 + 4,
    FIRST_NEWS_SIZE = 64 * NEWS_SIZE
};

static void keep_news(struct heir *heir, const uint8_t *news)
{
    if (heir->news_len + NEWS_SIZE > heir->news_size) {
        heir->news_size =
            heir->news_size == 0 ? FIRST_NEWS_SIZE : 2 * heir->news_size;
        heir->news = mem_realloc(heir->news, heir->news_size);
    }
    memcpy(heir->news + heir->news_len, news, NEWS_SIZE);
    heir->news_len += NEWS_SIZE;
}

void heir_tell(struct heir *heir, enum heir_news news, uint64_t key,
               uint64_t user, uint32_t secret)
{
    uint8_t bytes[NEWS_SIZE] = {(uint8_t)news};
    bool is_first;

    if (heir == NULL || !heir_is_open(heir))
        return;
    memcpy(bytes + 1, &key, sizeof(key));
    memcpy(bytes + 9, &user, sizeof(user));
    memcpy(bytes + 17, &secret, sizeof(secret));
    pthread_mutex_lock(&heir->news_lock);
    is_first = heir->news_len == 0;
    keep_news(heir, bytes);
    if (is_first)
        heir_ring(heir);
    pthread_mutex_unlock(&heir->news_lock);
}

static uint8_t *take_news(struct heir *heir, size_t *len_out)
{
    uint8_t *news;

    pthread_mutex_lock(&heir->news_lock);
    news = heir->news;
    *len_out = heir->news_len;
    heir->news = NULL;
    heir->news_len = 0;
    heir->news_size = 0;
    pthread_mutex_unlock(&heir->news_lock);
    return news;
}

bool heir_send_news(struct heir *heir)
{
    size_t len;
    uint8_t *news = take_news(heir, &len);
    bool is_sent = true;
    size_t at = 0;

    while (is_sent && at < len) {
        wire_start(&heir->packet, WIRE_NEWS);
        for (; at < len && wire_has_room(&heir->packet, NEWS_SIZE);
             at += NEWS_SIZE)
            wire_put(&heir->packet, news + at, NEWS_SIZE);
        is_sent = heir_send(heir, &heir->packet);
    }
    free(news);
    return is_sent;
}

void heir_forget_news(struct heir *heir)
{
    size_t len;

    free(take_news(heir, &len));
}
