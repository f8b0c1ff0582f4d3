/* The service manager that started us, where there is one (sd_notify(3)): it is told how things are, and that we live. */
#ifndef TOOTFS_SERVICE_H
#define TOOTFS_SERVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"
#include "cache/base/lock.h"

struct service_watch {
	/* Is all that must move moving? May take as long as that takes: no sign of life is given meanwhile. */
	bool (*alive)(void *arg);
	/* A line for "systemctl status". */
	void (*status)(void *arg, struct buf *out);
	void *arg;
};

struct service {
	int fd; /* -1 = nobody wants to know */
	int64_t watchdog_ms; /* a sign of life is wanted at least so often; 0 = not at all */
	const struct service_watch *watch;
	pthread_t thread;
	bool watching;
	struct lock lock;
	struct wakeup wake;
	struct {
		bool stopping;
	} locked;
};

/* Takes NOTIFY_SOCKET and what belongs to it out of the environment. After forking, before there are threads. */
void service_open(struct service *s);
void service_close(struct service *s);
/* Lines NAME=value. Thread-safe, never waits; what cannot be told is not. */
void service_tell(struct service *s, const char *fmt, ...) PRINTF(2, 3);
/* One line of any text. */
void service_status(struct service *s, const char *text);
/* Signs of life and the status, from a thread of its own. Nothing where nobody wants to know. */
int service_watch(struct service *s, const struct service_watch *watch) MUST_CHECK;
void service_unwatch(struct service *s);

#endif
