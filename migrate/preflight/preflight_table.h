/* Every rule of preflight, one row each, and the pitfalls of facts/field.md (P1 to P47) it looks for:
 * together with mig_pitfalls_elsewhere all 47 are named here, and a test counts them. A rule's name is
 * stable: people accept it with `start --accept`, by name, by the finding's id ("server-down-2") or by
 * pitfall ("P28"). Whether a row applies is decided in preflight_*.c. Pure data. */
#ifndef MIGRATE_PREFLIGHT_TABLE_H
#define MIGRATE_PREFLIGHT_TABLE_H

#include <stdbool.h>
#include <stdint.h>

enum mig_severity { MIG_INFO, MIG_WARN, MIG_BLOCK };

/* X(id, name, pitfalls, weight, why, todo). Weight: REFUSE blocks whatever is said, BLOCK blocks until it is
 * accepted, WARN and INFO only tell. "" = design.md alone asks for it. */
#define MIG_RULES_OF_THE_ENSEMBLE(X)                                                                         \
    X(CONFIG_UNKNOWN, "config-unknown", "P6", REFUSE, "without the members nothing can be planned",          \
      "see that at least one source serves and its client port is reachable")                                \
    X(MEMBERS_DIFFER, "members-differ", "P11 P24", REFUSE,                                                   \
      "a plan starts from exactly the servers that are members now",                                         \
      "make `source` equal to the config's members (`target` to none), reload")                              \
    X(HIERARCHICAL, "hierarchical", "P10", REFUSE, "incremental reconfig works with majority quorums only",  \
      "remove group and weight lines from the config first")                                                 \
    X(NO_LEADER, "no-leader", "P28", REFUSE, "every step needs a leader with a synced quorum",               \
      "see why the sources do not form a quorum")                                                            \
    X(LEADER_UNSEEN, "leader-unseen", "P28", REFUSE,                                                         \
      "clients are served by the followers; but a plan asks the leader itself: what is synced, whom it "     \
      "counts, each reconfig",                                                                               \
      "leaderServes=yes on every server, its client port reachable from here, its line in `source`")         \
    X(CREDENTIALS_MISSING, "credentials-missing", "P7", REFUSE, "reconfig needs ZooKeeper's super user",     \
      "set credentials.super_file and reload")                                                               \
    X(SUPER_WRONG, "super-wrong", "P7", REFUSE, "reconfig would be refused with NO_AUTH",                    \
      "correct the password in credentials.super_file, or superDigest on every server")                      \
    X(SUPER_UNKNOWN, "super-unknown", "P7", REFUSE,                                                          \
      "whether the super password is right could not be tried",                                              \
      "see the findings about servers and leader, then ask again")                                           \
    X(RECONFIG_DISABLED, "reconfig-disabled", "P6", REFUSE,                                                  \
      "members can only be changed with reconfigEnabled=true",                                               \
      "set reconfigEnabled=true on every server, restart them one by one")                                   \
    X(RECONFIG_UNKNOWN, "reconfig-unknown", "P6", REFUSE,                                                    \
      "whether the leader accepts reconfig is not known",                                                    \
      "wait until the admin session reaches the leader, then ask again")                                     \
    X(PLAN_LOCK_HELD, "plan-lock-held", "P11 P46 P47", REFUSE,                                               \
      "two controllers would undo each other's steps",                                                       \
      "end the plan of the holder; the lock of one that died is gone when its session expires")              \
    X(VOTERS_FEW, "voters-few", "P9", REFUSE, "ZooKeeper cannot shrink a quorum below two voters",           \
      "let at least two servers be members at the end, better three")                                        \
    X(TOLERANCE_LOST, "tolerance-lost", "P20", REFUSE,                                                       \
      "an ensemble that survives the loss of a server must still do so",                                     \
      "let at least three servers be members at the end")                                                    \
    X(RESTART_COSTS_QUORUM, "restart-costs-quorum", "P20", REFUSE,                                           \
      "while one server restarts the others must still form a quorum", "let at least three servers vote")    \
    X(VOTERS_EVEN, "voters-even", "P20", WARN,                                                               \
      "an even number of voters tolerates no more failures than one less",                                   \
      "let 3, 5 or 7 servers be members at the end")                                                         \
    X(CONNECTIONS_FEW, "connections-few", "P42", BLOCK,                                                      \
      "all sessions come from the proxy's addresses; a full server refuses them",                            \
      "set maxClientCnxns=0 on the servers that are members at the end, or give more addresses in bind")     \
    X(CONNECTIONS_MAYBE_FEW, "connections-maybe-few", "P42", WARN,                                           \
      "the limit of a server that is a member at the end is not known; ZooKeeper's default is 60 per "       \
      "address",                                                                                             \
      "set maxClientCnxns=0 on the servers that are members at the end, or give more addresses in bind")     \
    X(HOOK_UNRUNNABLE, "hook-unrunnable", "", BLOCK,                                                         \
      "a plan would find out when it needs the hook, and fail in the middle, on the way back, too",          \
      "put the program there, executable for the user zkferryd runs as, or change migration.hooks")          \
    X(SERVERS_DRAINED, "servers-drained", "", REFUSE,                                                        \
      "a plan moves sessions by rules of its own; it and an operator's drain could leave them nowhere to "   \
      "go",                                                                                                  \
      "`zkferry undrain ID`")                                                                                \
    X(ADDRESS_CLASH, "address-clash", "P24", REFUSE,                                                         \
      "ZooKeeper refuses a member with the address of another, or two servers fight for the port",           \
      "give every server its own addresses")                                                                 \
    X(VERSIONS_MIXED, "versions-mixed", "P22", WARN,                                                         \
      "3.6 and later speak another quorum protocol than 3.5 unless multiAddress.enabled=false",              \
      "see that multiAddress.enabled is not true on any server; end the mix soon")                           \
    X(LEADER_CHANGE_SLOW, "leader-change-slow", "P13", WARN,                                                 \
      "when the leader leaves nobody serves until the new one has written its snapshot; clients with "       \
      "timeouts this short are disconnected meanwhile",                                                      \
      "raise those clients' timeouts, have less data, or accept their reconnects")                           \
    X(TIMEOUTS_CLAMPED, "timeouts-clamped", "P35", WARN,                                                     \
      "a server gives a session another timeout on re-attach, and its client never learns of it",            \
      "set min- and maxSessionTimeout of the target as on the sources")                                      \
    X(IP_ACLS, "ip-acls", "P43", WARN,                                                                       \
      "such an ACL means the client's address, but servers see the proxy's",                                 \
      "let these ACLs name the proxy's addresses, all of `bind` too, or use digest")                         \
    X(EXTENDED_TYPES, "extended-types", "P25", WARN,                                                         \
      "a server without extended types takes nodes with a TTL for ephemerals and deletes them",              \
      "set zookeeper.extendedTypesEnabled=true on every target")                                             \
    X(NOT_SAMPLED, "not-sampled", "P43", WARN,                                                               \
      "ip: ACLs, extended types, the config node's rights and other holders of the plan lock stay unseen",   \
      "see that the admin session reaches a server, then ask again")                                         \
    X(CONFIG_WRITABLE, "config-world-writable", "P7", WARN,                                                  \
      "the ACL of /zookeeper/config lets every client change the members",                                   \
      "setAcl /zookeeper/config world:anyone:r as the super user")                                           \
    X(SKIP_ACL, "skip-acl", "P8", WARN, "with skipACL=yes every client can change the members",              \
      "take skipACL=yes away; the proxy refuses reconfig, but clients that go around it can send it")        \
    X(CONFIG_NODE_PASSED, "config-node-passed", "P40", WARN,                                                 \
      "Curator and updateServerList follow /zookeeper/config and leave the proxy",                           \
      "guard.config_node: hide or proxy, or switch that off in every client")                                \
    X(REQUEST_LIMIT_LOW, "request-limit-low", "", WARN,                                                      \
      "a request between the two is cut by the proxy although the servers would take it",                    \
      "set limits.request_bytes to 0 (the servers decide), or as high as their jute.maxbuffer")              \
    X(WHOLE_LIMIT_LOW, "whole-limit-low", "", INFO,                                                          \
      "SetWatches, multiReads and auth between the two are cut by the proxy",                                \
      "nothing, unless clients send such; else raise limits.whole_bytes")                                    \
    X(JUTE_UNKNOWN, "jute-maxbuffer-unknown", "", INFO,                                                      \
      "no word shows jute.maxbuffer, and a request that fits one server may be cut by another",              \
      "compare -Djute.maxbuffer of all servers by hand, or open AdminServer's port")

#define MIG_RULES_OF_A_SERVER(X)                                                                             \
    X(SERVER_DOWN, "server-down", "P28", BLOCK, "with a member down a step may leave no failure tolerated",  \
      "start it; or accept this finding to go on with the members that are left")                            \
    X(SERVER_UNASKED, "server-not-asked", "", REFUSE,                                                        \
      "this host could not even put the question: nobody knows how the server is now",                       \
      "give zkferryd more descriptors (LimitNOFILE=) or memory, or end what uses up ports; then ask again")  \
    X(SERVER_NOT_SERVING, "server-not-serving", "P28", BLOCK,                                                \
      "a server without quorum, still loading, or with leaderServes=no",                                     \
      "see its log; or accept this finding")                                                                 \
    X(LEAVING_SERVER_DOWN, "leaving-server-down", "P20", WARN,                                               \
      "it leaves anyway; until its replacement is a member one failure less is tolerated",                   \
      "nothing, when it is dead; do not start it again after the plan")                                      \
    X(TARGET_NOT_STARTED, "target-not-started", "P1", INFO, "targets may be started during the plan",        \
      "`zkferry joiner-config ID` prints the files to start it with")                                        \
    X(SRVR_HIDDEN, "srvr-not-allowed", "P28", BLOCK, "srvr is what says whether a server serves",            \
      "add srvr to 4lw.commands.whitelist or open AdminServer")                                              \
    X(SERVER_FULL, "server-full", "P42", BLOCK,                                                              \
      "it closes new connections while sessions on it live: maxClientCnxns or maxCnxns is reached",          \
      "set maxClientCnxns=0 there, or give more addresses in bind")                                          \
    X(BIND_UNREACHED, "bind-unreached", "P42", BLOCK,                                                        \
      "sessions go to it from that address; probes, which see a healthy server, do not",                     \
      "see that this host has the address, and that it may and can connect to the server's client port")     \
    X(SERVER_PROXY, "server-is-a-proxy", "", REFUSE,                                                         \
      "its line leads to zkferry, this one or another: clients would go in circles, so nobody is admitted "  \
      "there",                                                                                               \
      "write the server's own address and client port, not what clients use")                                \
    X(SERVER_READ_ONLY, "server-read-only", "P38", BLOCK,                                                    \
      "it has lost the quorum and answers with old data", "see why it does not reach the leader")            \
    X(FOREIGN_KEEPER, "foreign-keeper", "P45", REFUSE,                                                       \
      "Keeper forgets sessions that come back and is not joinable with ZooKeeper",                           \
      "only ZooKeeper can be migrated, and only to ZooKeeper")                                               \
    X(VERSION_UNKNOWN, "version-unknown", "P45", BLOCK, "not ZooKeeper's version format",                    \
      "only ZooKeeper >= 3.5.5 is supported")                                                                \
    X(VERSION_REFUSED, "version-refused", "P5 P17 P21", REFUSE,                                              \
      "members of this version cannot be changed without danger", "upgrade to 3.5.9 or later first")         \
    X(VERSION_OLD, "version-old", "P16 P17 P18 P21 P23 P26", WARN,                                           \
      "known faults of this version in what a migration does",                                               \
      "upgrade sources if that can be had; 3.9.4 or later for targets")                                      \
    X(VERSION_NOTE, "version-note", "P2 P17 P18 P26 P27 P31 P37 P42", INFO,                                  \
      "known faults of this version that the proxy works around or that need more than it does",             \
      "nothing, unless what is named is in use")                                                             \
    X(STANDALONE, "standalone", "P9", REFUSE, "a standalone server has no quorum to grow",                   \
      "turn it into a one-server quorum (standaloneEnabled=false) first")                                    \
    X(TARGET_OWN_ENSEMBLE, "target-own-ensemble", "P3", REFUSE,                                              \
      "a target with its own ensemble or data is another history",                                           \
      "stop it, empty its dataDir, start it with `zkferry joiner-config ID`")                                \
    X(SECOND_LEADER, "second-leader", "P15", REFUSE,                                                         \
      "two servers that lead are two ensembles: an old one may have been started again",                     \
      "find out which is right, stop the other and keep its data away")                                      \
    X(ZXID_NEARLY_FULL, "zxid-nearly-full", "P29", WARN,                                                     \
      "the leader steps down when the counter is full, in the middle of a plan",                             \
      "restart the leader before the migration")                                                             \
    X(ID_MISMATCH, "id-mismatch", "P25", REFUSE, "another server answers at this address, or myid is wrong", \
      "correct the server line or its myid")                                                                 \
    X(ID_TOO_BIG, "id-too-big", "P25", BLOCK, "TTL and container nodes need ids up to 254",                  \
      "give the server a smaller id; or accept when extendedTypesEnabled is never used")                     \
    X(TIMEOUTS_DIFFER, "timeouts-differ", "P35", WARN,                                                       \
      "a session may get another timeout when it re-attaches",                                               \
      "give all servers the same tickTime, min- and maxSessionTimeout")                                      \
    X(TICK_DIFFERS, "tick-differs", "P35 P19", WARN,                                                         \
      "ticks decide how long elections, syncs and sessions may take; a member with others falls out",        \
      "give all servers the same tickTime, initLimit and syncLimit")                                         \
    X(INIT_LIMIT_SHORT, "init-limit-short", "P19", WARN,                                                     \
      "a server that is not synced within initLimit ticks begins again, for ever",                           \
      "raise initLimit on all servers, the leader above all")                                                \
    X(SYNC_LIMIT_SHORT, "sync-limit-short", "P19", WARN,                                                     \
      "a follower that is silent for syncLimit ticks is dropped: one pause of its JVM is enough",            \
      "raise syncLimit on all servers")                                                                      \
    X(JUTE_DIFFERS, "jute-maxbuffer-differs", "", WARN,                                                      \
      "a request that another server takes is cut by this one: its client loses the connection, again and "  \
      "again",                                                                                               \
      "give all servers the same -Djute.maxbuffer")                                                          \
    X(RECONFIG_INACTIVE, "reconfig-inactive", "P6 P12", REFUSE,                                              \
      "it still counts with another member list: split brain after a leader loss",                           \
      "set reconfigEnabled=true on this server and restart it")                                              \
    X(ACTIVATION_UNVERSIONED, "activation-unversioned", "P6 P12", BLOCK,                                     \
      "with reconfigEnabled=false it would show the same until the first change",                            \
      "add conf to 4lw.commands.whitelist; or see that it has reconfigEnabled=true and accept this "         \
      "finding")                                                                                             \
    X(ACTIVATION_UNOBSERVABLE, "activation-unobservable", "P6 P12 P28", BLOCK,                               \
      "only `conf` or AdminServer show which members a server really counts with",                           \
      "add conf to 4lw.commands.whitelist or open AdminServer; or accept this finding")                      \
    X(MNTR_NOT_ALLOWED, "mntr-not-allowed", "P2 P28", WARN,                                                  \
      "the numbers of synced followers and of digest mismatches cannot be seen",                             \
      "add mntr to 4lw.commands.whitelist or open AdminServer")                                              \
    X(FIGURES_NOT_SHOWN, "figures-not-shown", "P2 P28", WARN,                                                \
      "what needs them uses something else: nodes are compared one by one instead of counts, the "           \
      "followers' "                                                                                          \
      "own word proves a leader, and no time can be estimated",                                              \
      "see what the metrics provider of that server prints for them")                                        \
    X(WILDCARD_ADDRESS, "wildcard-address", "P23", REFUSE,                                                   \
      "other members cannot connect to a wildcard quorum address", "write the server's real address")        \
    X(CLIENT_PART_MISSING, "client-part-missing", "", INFO,                                                  \
      "it was started from a static file; a plan that makes it a member again, or an observer for a "        \
      "moment, "                                                                                             \
      "must write its client address, and ZooKeeper then listens there and takes clientPort out of zoo.cfg", \
      "nothing; when it is not what the server shall listen on, change its line under `source`")             \
    X(WILDCARD_CLIENT, "wildcard-client", "P23 P40", INFO,                                                   \
      "legal, but clients that read /zookeeper/config by themselves learn 0.0.0.0",                          \
      "keep the guard on, or write the address")                                                             \
    X(MULTI_ADDRESS, "multi-address", "P22", WARN,                                                           \
      "several addresses of a server need multiAddress.enabled=true everywhere",                             \
      "see that all servers have it")                                                                        \
    X(MULTI_ADDRESS_REFUSED, "multi-address-refused", "P22", REFUSE,                                         \
      "3.5 cannot parse several addresses of a server: a member with them takes it down",                    \
      "write one address, or upgrade all servers to 3.6 or later first")                                     \
    X(ADDRESS_BY_NAME, "address-by-name", "P26", INFO,                                                       \
      "every member and every joiner must resolve it, also the moment it becomes a member",                  \
      "prefer addresses; else see that all servers resolve it")                                              \
    X(NAME_UNRESOLVED, "name-unresolved", "P26", BLOCK,                                                      \
      "a name that cannot be resolved stops a reconfig half-way on the servers that ask for it",             \
      "correct the name or DNS; or accept when only this machine cannot resolve it")                         \
    X(OBSERVER, "observer", "P5", INFO, "it does not vote, but holds clients; it leaves like the others",    \
      "nothing")                                                                                             \
    X(TARGET_OBSERVER, "target-observer", "P5", WARN,                                                        \
      "it joins as a follower without a vote and drops its clients when it becomes an observer; it adds no " \
      "tolerance",                                                                                           \
      "write participant, unless an observer is what you want")                                              \
    X(DIRECT_CLIENTS, "direct-clients", "P41", WARN,                                                         \
      "clients that do not come through this proxy are not moved: they lose the server when it stops",       \
      "let them use the proxy; `cons` on the server says who they are")                                      \
    X(LOCAL_SESSIONS, "local-sessions", "P36", WARN,                                                         \
      "a local session exists on its server only: it expires when it has to move",                           \
      "localSessionsEnabled=false, or let these clients make new sessions")                                  \
    X(DIGEST_MISMATCH, "digest-mismatch", "P18", BLOCK,                                                      \
      "its data differs from the leader's, or nobody can say that it does not",                              \
      "`zkferry verify` shows it; rebuild that server: stop it, empty dataDir and dataLogDir except for "    \
      "myid, start it again: it gets everything from the leader")                                            \
    X(DIGEST_OPEN, "digest-not-compared", "P18", WARN,                                                       \
      "a learner that joined under writes may count mismatches although its data is right (4394)",           \
      "nothing: the plan compares its nodes with the leader's; `zkferry verify` does so now")                \
    X(DIGEST_EQUAL, "digest-equal", "P18", INFO,                                                             \
      "a learner that joined under writes may count mismatches although its data is right (4394)",           \
      "nothing; its log may hold transactions twice, which a restart of it shows")                           \
    X(JOIN_UNDER_WRITES, "join-under-writes", "P18", WARN,                                                   \
      "up to 3.9.2 a learner that joins under writes may sync twice and log transactions twice (4394)",      \
      "`migration.prove_joiners: true` restarts each joiner once, or join when there is little writing; "    \
      "or use 3.9.3 or newer")

#define MIG_RULES(X)                                                                                         \
    MIG_RULES_OF_THE_ENSEMBLE(X)                                                                             \
    MIG_RULES_OF_A_SERVER(X)

enum mig_rule {
#define MIG_RULE_ENUM(id, name, pitfalls, weight, why, todo) MIG_RULE_##id,
    MIG_RULES(MIG_RULE_ENUM)
#undef MIG_RULE_ENUM
        MIG_RULE_COUNT
};

struct mig_rule_row {
    const char *name;
    const char *pitfalls; /* "P6 P12" */
    enum mig_severity severity;
    bool can_accept;
    const char *why;
    const char *todo;
};
const struct mig_rule_row *mig_rule_row(enum mig_rule rule);

/* Does the text "P6 P12" name this one? */
bool mig_pitfalls_name(const char *pitfalls, const char *pitfall);
/* The rule with this name is about this pitfall; false when there is no such rule. */
bool mig_rule_is_about(const char *rule_name, const char *pitfall);

/* Is there anything that could be accepted, or refused, by this name: a rule, a rule with a server's id, a
 * pitfall; or what a gate of a plan waits for ("stragglers-2")? A misspelt name would be found out only when
 * the plan stops. */
bool mig_accept_is_known(const char *name);

/* Pitfalls for which preflight has no rule, because nothing shows them beforehand or because the way zkferry
 * is built leaves no room for them. Ends with a NULL pitfall. */
struct mig_pitfall_elsewhere {
    const char *pitfall;
    const char *where;
};
extern const struct mig_pitfall_elsewhere mig_pitfalls_elsewhere[];

#endif
