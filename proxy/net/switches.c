/* See switches.h. */
#include "proxy/net/switches.h"

#include <stdlib.h>
#include <string.h>

bool px_switch(const char *name)
{
#if PX_TEST_SWITCHES
    const char *list = getenv("ZKFERRY_TEST_SWITCHES");
    size_t length = strlen(name);

    while (list != NULL && *list != '\0') {
        size_t item = strcspn(list, ",");
        if (item == length && memcmp(list, name, length) == 0)
            return true;
        list += list[item] == ',' ? item + 1 : item;
    }
#else
    (void)name;
#endif
    return false;
}
