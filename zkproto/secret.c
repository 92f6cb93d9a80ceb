/* See secret.h. */
#include "zkproto/secret.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "zkproto/assert.h"

/* The start of the mapping; mmap rounds it up to a page. */
struct page {
    atomic_uint holders;
    bool is_locked;
    char text[ZKP_SECRET_MAX + 1];
};

static struct page *page_of(const char *secret)
{
    return (struct page *)((uintptr_t)secret - offsetof(struct page, text));
}

const char *zkp_secret_new(const char *text, size_t len)
{
    if (len == 0)
        return "";
    if (len > ZKP_SECRET_MAX)
        return NULL;
    struct page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    /* Before there is anything to protect. An old kernel may not know one of them. */
    (void)madvise(page, sizeof(*page), MADV_DONTDUMP);
    (void)madvise(page, sizeof(*page), MADV_WIPEONFORK);
    page->is_locked = mlock2(page, sizeof(*page), 0) == 0; /* mlock does nothing under a sanitizer */
    atomic_init(&page->holders, 1);
    memcpy(page->text, text, len); /* the mapping is zeroed: stays terminated */
    return page->text;
}

const char *zkp_secret_share(const char *secret)
{
    if (secret[0] != '\0')
        (void)atomic_fetch_add(&page_of(secret)->holders, 1);
    return secret;
}

void zkp_secret_drop(const char *secret)
{
    if (secret == NULL || secret[0] == '\0')
        return;
    struct page *page = page_of(secret);
    unsigned before = atomic_fetch_sub(&page->holders, 1);
    ASSERT(before > 0);
    if (before > 1)
        return;
    explicit_bzero(page->text, sizeof(page->text));
    (void)munmap(page, sizeof(*page));
}

bool zkp_secret_is_locked(const char *secret)
{
    return secret[0] == '\0' || page_of(secret)->is_locked;
}
