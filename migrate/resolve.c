/* getaddrinfo on the helper thread; numeric addresses at once. */
#include "migrate/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/sockets.h"

struct resolve_job {
    char host[ZKP_HOST_MAX];
    char port[8];
    struct mig_address address; /* written by the helper thread */
    int failure;                /* EAI_ code, 0 = found; written by the helper thread */
    int lack;                   /* errno of what the resolver had too little of, or 0; likewise */
    mig_resolved_fn *fn;
    void *context;
};

static int look_up(const char *host, const char *port, int flags, struct mig_address *ret_address)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure != 0)
        return failure;
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(&ret_address->storage, found->ai_addr, found->ai_addrlen);
    ret_address->length = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

enum rc mig_address_numeric(const char *host, uint16_t port, struct mig_address *ret_address)
{
    char text[8];
    snprintf(text, sizeof text, "%u", (unsigned)port);
    return look_up(host, text, AI_NUMERICHOST | AI_NUMERICSERV, ret_address) == 0 ? RC_OK : RC_NOT_FOUND;
}

uint32_t mig_address_print(const struct mig_address *address, bool brackets, char *buf, uint32_t capacity)
{
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    const struct sockaddr *sa = (const struct sockaddr *)&address->storage;
    if (address->length == 0 || getnameinfo(sa, address->length, host, sizeof host, port, sizeof port,
                                            NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return 0;
    bool bracketed = brackets && sa->sa_family == AF_INET6;
    int n = snprintf(buf, capacity, bracketed ? "[%s]:%s" : "%s:%s", host, port);
    return n > 0 && (uint32_t)n < capacity ? (uint32_t)n : 0;
}

static void run(void *arg)
{
    struct resolve_job *job = arg;
    /* AI_ADDRCONFIG is left out: it hides ::1 and 127.0.0.1 on machines without other addresses. */
    job->failure = look_up(job->host, job->port, AI_NUMERICSERV, &job->address);
    /* Without descriptors it reads no file and asks nobody, and says "not known" all the same. */
    if (job->failure != 0)
        job->lack = job->failure == EAI_MEMORY ? ENOMEM : mig_socket_lack(AF_INET);
}

static enum rc rc_of(const struct resolve_job *job)
{
    if (job->failure == 0)
        return RC_OK;
    if (mig_socket_is_short(job->lack))
        return RC_FULL;
    return job->failure == EAI_NONAME ? RC_NOT_FOUND : RC_IO;
}

static void done(void *arg)
{
    struct resolve_job *job = arg;
    char text[ZKP_HOST_MAX + 96];
    enum rc rc = rc_of(job);
    if (rc == RC_FULL)
        snprintf(text, sizeof text, "%s: not looked up: %s", job->host, strerror(job->lack));
    else if (rc != RC_OK)
        snprintf(text, sizeof text, "%s: %s", job->host, gai_strerror(job->failure));
    job->fn(job->context, rc, rc == RC_OK ? &job->address : NULL, rc == RC_OK ? "" : text);
    free(job);
}

enum rc mig_resolve(struct mig_helper *helper, const char *host, uint16_t port, mig_resolved_fn *fn,
                    void *context)
{
    if (strlen(host) >= ZKP_HOST_MAX)
        return RC_TOO_BIG;
    struct resolve_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return RC_NOMEM;
    snprintf(job->host, sizeof job->host, "%s", host);
    snprintf(job->port, sizeof job->port, "%u", (unsigned)port);
    job->fn = fn;
    job->context = context;
    enum rc rc = mig_helper_submit(helper, run, done, job);
    if (rc != RC_OK)
        free(job);
    return rc;
}
