/* One socket of a link: its event, the bytes that wait, the frame that is passing through, and the reasons
 * why it is not read. Back-pressure and lifetimes are explicit (design.md §4).
 * Worker thread. Not here: frames and what they mean (link_frames.c). */
#ifndef PROXY_NET_CONN_H
#define PROXY_NET_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/net/poller.h"
#include "proxy/session/buffer.h"

struct px_link;

/* Why a connection is not read; it is when none is set. */
enum px_pause {
    PX_PAUSE_PEER_FULL = 1, /* the other side takes its bytes too slowly */
    PX_PAUSE_INFLIGHT = 2,  /* too many requests wait for their replies */
    PX_PAUSE_SESSION = 4,   /* the session core says so; from the next frame boundary on */
    PX_PAUSE_PLACE = 8,     /* too many frames are being collected */
};

enum px_conn_role { PX_CONN_CLIENT, PX_CONN_SERVER, PX_CONN_NEXT };

/* Embedded in its link or its attempt, freed with it. fd -1 = closed or never open; every call on such a one
 * is a no-op. */
struct px_conn {
    struct px_link *link;
    int fd;
    uint8_t pauses; /* set of enum px_pause */
    enum px_conn_role role : 8;
    bool is_ended;          /* client: its FIN came behind requests that still wait */
    bool is_connecting;     /* until TCP is up */
    bool is_broken;         /* a send failed: nothing more is written, reading shows the end */
    bool drops_stream : 1;  /* stream_left is swallowed instead of forwarded */
    bool is_collecting : 1; /* has one of the worker's places for a long frame that must be there whole */
    bool wants_walk;        /* resumed: what is in `in` has to be looked at */
    bool has_more;          /* reading stopped before the socket was dry */
    uint32_t stream_left;   /* bytes of the present frame that have not come yet */
    uint32_t scanned;       /* client: bytes of `in` already searched for pings while requests wait */
    uint32_t held_bytes;    /* of both buffers, as the worker counts them */
    struct px_buffer in;  /* a frame's beginning that is not enough yet, or frames not to be looked at yet */
    struct px_buffer out; /* what the kernel did not take */
    struct px_polled polled;
};

/* What is awaited of a connection that is read. Edge-triggered: the kernel looks once at a socket that is
 * ready, not once more to see that it no longer is. The price: who stops reading before the socket is dry has
 * to be armed anew (has_more). */
#define PX_CONN_READS ((uint32_t)EPOLLIN | (uint32_t)EPOLLRDHUP | (uint32_t)EPOLLET)

void px_conn_init(struct px_conn *conn, struct px_link *link, enum px_conn_role role);
/* Takes a non-blocking socket; nothing is awaited before px_conn_arm. */
void px_conn_open(struct px_conn *conn, int take_fd);
/* Unregisters and closes. Buffers stay until px_conn_done: their bytes may be on the stack above us. */
void px_conn_close(struct px_conn *conn);
/* The same, but the descriptor is the caller's from now on; -1 when there is none. */
int px_conn_detach(struct px_conn *conn);
void px_conn_done(struct px_conn *conn);

/* Waits for what this connection needs now: read, write, or just the peer's end. */
void px_conn_arm(struct px_conn *conn);
/* It is read, and nothing else is to be done for it: how most turns leave a connection. */
static inline bool px_conn_is_plain(const struct px_conn *conn)
{
    const int marks = conn->pauses | conn->is_ended | conn->is_connecting | conn->is_broken |
                      conn->wants_walk | conn->has_more;

    return marks == 0 && conn->out.length == 0 && conn->polled.armed == PX_CONN_READS;
}
/* Sends what the kernel takes and keeps the rest. A failed send sets is_broken. */
void px_conn_write(struct px_conn *conn, const void *bytes, uint32_t length);
/* Sends what waits. */
void px_conn_flush(struct px_conn *conn);

/* The next connection's socket and what came on it become those of `to`. */
void px_conn_take_over(struct px_conn *to, struct px_conn *from);
bool px_conn_may_read(const struct px_conn *conn);
/* Its requests wait: bytes are read, kept, and searched for pings (design.md §4, local ping answers). */
bool px_conn_keeps(const struct px_conn *conn);
/* A frame was passed on in part: neither may the session be called quiet nor anything be injected. A
 * client's bytes that merely wait in `in` were passed to nobody. */
bool px_conn_is_mid_frame(const struct px_conn *conn);
/* PX_PAUSE_SESSION on: a frame half passed on is still finished. Off: wants_walk when something was left
 * behind. */
void px_conn_pause_session(struct px_conn *conn);
void px_conn_resume_session(struct px_conn *conn);
/* After the buffers have changed: the worker's sum follows. */
void px_conn_account(struct px_conn *conn);
/* A frame that needs so many bytes at once is to be collected: gets a place for it, or stops reading until
 * there is one (worker tick). A short one needs none. */
void px_conn_collect(struct px_conn *conn, uint32_t need);
/* Gives it back; it is taken again when the frame still is not there. */
void px_conn_collected(struct px_conn *conn);
/* Sets or clears another reason; true when it changed. */
bool px_conn_pause(struct px_conn *conn, enum px_pause why, bool is_on);

#endif
