/* A process that becomes a daemon: the shell waits until it is ready, signals end it in order. */
#ifndef TOOTFS_LIFE_H
#define TOOTFS_LIFE_H

#include <pthread.h>
#include <stdbool.h>
#include "cache/base/err.h"

/* Exit statuses, those of mount(8). */
enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_MOUNT = 32 };

/* Called on a thread of its own when SIGTERM or SIGINT came, for the count-th time, and then about
 * every 100 ms until it returns true. */
typedef bool life_stop(void *arg, unsigned count);

struct life {
	int parent_fd; /* to who started us; -1 = stays in the foreground, or was told already */
	pthread_t thread;
	bool watching;
	life_stop *stop;
	void (*reload)(void *arg);
	void *arg;
};

/* Forks unless in the foreground, before there is any thread. Only the child returns; the parent
 * waits, says why if it must, and exits with the child's status. */
void life_start(struct life *life, bool foreground);
/* The shell gets its prompt; stdin, stdout and stderr are gone. false: the parent is dead, nobody
 * wants us. */
bool life_ready(struct life *life) MUST_CHECK;
/* Before life_ready, instead of it: one line for the user. Returns status. */
int life_fail(struct life *life, int status, const char *text);

/* From now on signals go to stop, and SIGHUP to reload, on one thread. Before that they kill, which
 * costs nothing: the cache survives that. */
int life_watch(struct life *life, life_stop *stop, void (*reload)(void *arg), void *arg) MUST_CHECK;
void life_unwatch(struct life *life);
/* How many SIGTERM and SIGINT came. */
unsigned life_stops(void);

#endif
