/* Lists of networks, as several sections have them. */
#include "config/settings_sections.h"

#include "config/json_read.h"

void settings_read_networks(const struct json_place *list, size_t min,
                            size_t max, struct network **networks_out,
                            size_t *count_out)
{
    struct network *networks;
    size_t count;
    size_t good = 0;

    if (!json_read_list(list, min, max, &count))
        return;
    networks = mem_realloc_array(NULL, count, sizeof(*networks));
    for (size_t i = 0; i < count; i++) {
        struct json_place place = json_place_item(list, i);
        const char *text = json_string_value(place.value);

        if (text != NULL && network_parse(text, &networks[good]))
            good++;
        else
            json_place_fault(&place, NULL,
                             "an IP address or a network such as 10.0.0.0/8, "
                             "without bits after its prefix");
    }
    *networks_out = networks;
    *count_out = good;
}
