/* The opcode table and its look-up (protocol.md §1.4). Pure, any thread. */
#include "zkproto/opcode.h"

#include "zkproto/assert.h"

static const struct zkp_op_row op_rows[ZKP_OPX_COUNT] = {
#define ZKP_OP_ROW(name, number, text, class, has_path, may_watch, since)                                    \
    [ZKP_OPX_##name] = {(number), (text), ZKP_CLASS_##class, (has_path), (may_watch), (since)},
    ZKP_OPS(ZKP_OP_ROW)
#undef ZKP_OP_ROW
        /* Assumed to change state: an unanswered one must never be sent twice. */
        [ZKP_OPX_UNKNOWN] = {INT32_MIN, "unknown", ZKP_CLASS_UNKNOWN, false, false, "unknown"},
};

const struct zkp_op_row *zkp_op_row(enum zkp_op_index index)
{
    ASSERT((unsigned)index < ZKP_OPX_COUNT);
    return &op_rows[index];
}

enum zkp_op_index zkp_op_index(int32_t number)
{
    switch (number) {
#define ZKP_OP_CASE(name, wire_number, text, class, has_path, may_watch, since)                              \
    case wire_number:                                                                                        \
        return ZKP_OPX_##name;
        ZKP_OPS(ZKP_OP_CASE)
#undef ZKP_OP_CASE
    default: /* from a newer ZooKeeper, or nonsense */
        return ZKP_OPX_UNKNOWN;
    }
}
