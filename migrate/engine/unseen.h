/* A leader that nobody has seen: leaderServes=no makes a healthy one answer "not currently serving requests",
 * its address may be out of our reach, or it is not in our file (pitfall P28). Its followers serve, so
 * clients are admitted there; what needs the leader itself can say why it has none. Pure, any thread. */
#ifndef MIGRATE_ENGINE_UNSEEN_H
#define MIGRATE_ENGINE_UNSEEN_H

#include "migrate/facts.h"

/* The one voter of the config that does not follow, when all the others do in one epoch: they have a leader,
 * only voters lead, so it is this one. -1 = not known, or no config. */
int32_t mig_unseen_leader(const struct mig_facts *facts, const struct zkp_config *config);

/* Voters of the config that follow, in the highest epoch of those that do. */
uint32_t mig_unseen_followers(const struct mig_facts *facts, const struct zkp_config *config);

/* For people: who follows, and what the other voters show instead. Terminated, cut at capacity. */
void mig_unseen_leader_text(const struct mig_facts *facts, const struct zkp_config *config, char *buf,
                            uint32_t capacity);

#endif
