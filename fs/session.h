/* A mount: the kernel's side of a cache.
 *
 *     session_mount → cache_start(session_watcher) → session_loop → session_unmount → …
 *     → cache_stop → session_close
 *
 * session_loop and session_unmount belong to the main thread, session_stop to the thread that gets
 * signals. */
#ifndef TOOTFS_SESSION_H
#define TOOTFS_SESSION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "cache/base/list.h"
#include "cache/base/lock.h"
#include "cache/cache.h"
#include "notify.h"

struct fuse_session;

enum { SESSION_THREADS_MAX = 64 }; /* that serve the kernel */

struct session_config {
	const char *spec;	/* becomes the mount's source, as it is */
	const char *mountpoint; /* absolute */
	const char *cache_folder;
	const char
	    *mount_options; /* flags and labels for mount(2), escaped for libfuse; "" = none */
	bool ro, allow_other;
	unsigned shared_s; /* 0 = this mount is the only writer */
	/* Called once, from a thread of the loop, when the kernel has greeted the daemon. */
	void (*ready)(void *arg);
	void *arg;
};

struct session {
	/* fixed after session_mount */
	const struct session_config *config;
	struct cache *cache;
	struct fuse_session *fuse;
	double timeout_s; /* how long the kernel may keep names, attributes and missing names */
	int fd;		  /* of /dev/fuse */
	uint64_t device;  /* st_dev of the mount */
	struct notify notify;
	pthread_t main;

	atomic_bool greeted; /* INIT was answered */
	unsigned patch;	     /* flags to add to the INIT answer (greeting.c) */

	struct lock lock;
	struct wakeup idle; /* reads_count became 0 */
	struct {
		struct list handles;
		unsigned writers_count; /* handles that may write */
		unsigned reads_count;	/* waiting for the bucket */
		bool ended;		/* the loop is over */
	} locked;

	/* session_stop's own, until the loop has ended */
	int64_t stop_ms; /* when the first signal came; 0 = none did */
	_Atomic bool left; /* our mount is no longer at the mount point */
};

int session_mount(const struct session_config *config, struct cache *cache, struct session **out,
		  struct buf *why) MUST_CHECK;
struct cache_watcher session_watcher(struct session *session);
/* Serves until the mount is gone or session_stop ended it. 0 or -errno. */
int session_loop(struct session *session) MUST_CHECK;
/* A signal asked for the end, for the count-th time. To be called again, every 100 ms or so, until
 * it returns true: the loop is over. */
bool session_stop(struct session *session, unsigned count);
/* Nothing comes from the kernel any more, and no file is open any more. */
void session_unmount(struct session *session);
void session_close(struct session **session);

/* A read was handed to the cache; it is answered. */
void session_read_begin(struct session *session);
void session_read_end(struct session *session);

#endif
