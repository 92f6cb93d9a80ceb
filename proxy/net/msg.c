/* Making and freeing messages; the owned parts are listed here once. Any thread. */
#include "proxy/net/msg.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

struct px_msg *px_msg_new(enum px_msg_kind kind)
{
    struct px_msg *msg = calloc(1, sizeof(*msg));

    if (msg != NULL)
        msg->kind = kind;
    return msg;
}

void px_msg_free(struct px_msg *msg)
{
    if (msg == NULL)
        return;
    switch (msg->kind) {
    case PX_MSG_DIRECTIVE:
        px_directive_unref(msg->directive);
        break;
    case PX_MSG_ADOPT:
        close_fd(msg->adopt.fd);
        px_origin_leave(msg->adopt.origin);
        break;
    case PX_MSG_WORD:
        close_fd(msg->word.fd);
        px_origin_leave(msg->word.origin);
        break;
    case PX_MSG_SESSIONS:
        free(msg->sessions.rows);
        break;
    case PX_MSG_RELEASE:
    case PX_MSG_LIST:
    case PX_MSG_STOP:
    case PX_MSG_RELEASED:
    case PX_MSG_KICK_PROBE:
    case PX_MSG_COUNT:
        break;
    }
    explicit_bzero(msg, sizeof(*msg)); /* RELEASE carries a session password */
    free(msg);
}
