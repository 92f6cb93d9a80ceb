/* Inside the session core only: the data behind the state and the handlers by topic. A handler returns the
 * next state and cannot see the field that holds it (style.md §5). */
#ifndef PROXY_SESSION_SESSION_INT_H
#define PROXY_SESSION_SESSION_INT_H

#include "proxy/session/request_queue.h"
#include "proxy/session/session.h"
#include "proxy/session/watch_queue.h"
#include "proxy/session/watch_set.h"

/* A connect waits as long as its client does: its own timeout, within these (design.md §4). */
#define SESSION_CONNECT_WAIT_MIN_MS 2000
#define SESSION_CONNECT_WAIT_MAX_MS 40000
/* After closeSession the server answers and sends FIN in milliseconds; a hung one is not waited for. */
#define SESSION_ENDING_MS 5000

/* Owned by px_session; worker thread only. */
struct session_data {
    int64_t session_id; /* 0 = a new one, before its ConnectResponse */
    int64_t last_zxid;  /* never goes down */
    int64_t heard_ms;
    int64_t established_ms;
    int64_t deadline_ms; /* what it is for follows from the state */
    uint64_t received_count;
    uint64_t sent_count;
    int32_t timeout_ms; /* asked for; from the ConnectResponse on: negotiated */
    int32_t last_xid;
    uint32_t write_count; /* unanswered requests that may change state; <= pipeline.count */
    uint8_t last_op;      /* enum zkp_op_index */
    uint8_t password[ZKP_PASSWORD_LEN];
    bool has_password; /* 16 bytes were presented or assigned */
    bool is_confirmed; /* by a server's ConnectResponse */
    bool has_read_only;
    bool read_only;
    bool hides_config;
    struct px_request_queue pipeline;    /* answered in order, pings included (protocol.md §4.1) */
    struct px_request_queue out_of_band; /* auth, sasl: answered in order, but past the pipeline */
    struct px_watch_set watches;
    struct px_watch_queue wishes; /* one per pipeline request marked PX_REQUEST_WATCH_WISHED */
};

typedef enum px_session_state px_handler(struct session_data *data, const struct px_event *event,
                                         struct px_actions *actions);

/* session_connect.c */
px_handler session_greeting, session_claiming, session_waiting, session_dialing;
/* session_serve.c */
px_handler session_active, session_returning, session_holding, session_held, session_ending;

/* session_request.c: `here` is the state to stay in; closeSession leads to ENDING, nonsense to DEAD. */
enum px_session_state session_request(struct session_data *data, const struct px_event *event,
                                      struct px_actions *actions, enum px_session_state here);
uint32_t session_request_need(const struct session_data *data, uint32_t length, struct zkp_slice body);
/* session_reply.c */
enum px_session_state session_reply(struct session_data *data, const struct px_event *event,
                                    struct px_actions *actions, enum px_session_state here);
uint32_t session_reply_need(const struct session_data *data, uint32_t length, struct zkp_slice body);
/* Answers the local requests at the pipeline's head; sets has_more when the bytes are full. */
void session_answer_local(struct session_data *data, struct px_actions *actions);
/* session_watch.c. Only for requests that may set or remove a watch; marks them. */
void session_watch_request(struct session_data *data, const struct px_event *event,
                           struct px_request *request);
/* The reply to a marked request. */
void session_watch_reply(struct session_data *data, const struct px_event *event,
                         const struct px_request *request, int32_t err);
void session_watch_event(struct session_data *data, const struct px_event *event);

/* session.c: building actions. */
struct px_action *session_act(struct px_actions *actions, enum px_action_kind kind);
/* Room for `length` bytes to send; NULL when they do not fit (has_more is the caller's business). */
uint8_t *session_send(struct px_actions *actions, enum px_action_kind kind, uint32_t length);
/* CLOSE with a reason; returns DEAD so that handlers can return it. */
enum px_session_state session_close(struct px_actions *actions, enum px_close_reason reason);

#endif
