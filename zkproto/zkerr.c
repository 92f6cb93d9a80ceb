/* Names of the error codes on the wire (protocol.md §1.4), for logs and the console. Pure, any thread. */
#include "zkproto/zkerr.h"

const char *zkp_err_name(int32_t err)
{
    switch (err) {
#define ZKP_ERR_CASE(name, number)                                                                           \
    case number:                                                                                             \
        return #name;
        ZKP_ERRS(ZKP_ERR_CASE)
#undef ZKP_ERR_CASE
    default:
        return "UNKNOWN_ERROR";
    }
}
