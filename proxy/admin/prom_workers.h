/* The data plane's metrics (proxy/net/metric_table.h, metrics.h): the workers' shards added up and written
 * as text. Control thread; reads the shards with relaxed loads while workers write. */
#ifndef PROXY_ADMIN_PROM_WORKERS_H
#define PROXY_ADMIN_PROM_WORKERS_H

#include <stddef.h>

#include "proxy/admin/prom.h"
#include "proxy/net/directive.h"
#include "proxy/net/metrics.h"

/* Writes every family of the table and the per-server and latency families. servers has PX_SLOTS_MAX entries
 * (a directive's): it turns a slot into the labels server and side. Series of a server and opcode appear with
 * their first request. */
void px_prom_workers(struct px_prom *prom, const struct px_metrics *const *shards, size_t shard_count,
                     const struct px_server_directive *servers);

#endif
