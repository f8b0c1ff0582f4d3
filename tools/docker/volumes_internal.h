/* What volumes*.c share: the table (volumes.c), mounting (volumes_mount.c), and the thread that looks after what nobody calls
 * for (volumes_watch.c).
 *
 * A volume is changed by who has claimed it, one at a time, and read under the lock. Whatever takes time (files, processes,
 * waiting for uploads) is done without the lock; what is claimed stays in the table. After a wait for the lock or for uploads a
 * volume is looked up again: it may be another of the same name, or gone. */
#ifndef TOOTFS_DOCKER_VOLUMES_INTERNAL_H
#define TOOTFS_DOCKER_VOLUMES_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/list.h"
#include "cache/base/lock.h"
#include "definition.h"
#include "texts.h"
#include "users.h"
#include "volumes.h"

struct volume {
	struct list link;
	uint64_t serial; /* no two volumes have the same */
	char *name, *mountpoint;
	struct definition definition;
	struct {
		bool claimed;
		bool mounted;	  /* as far as we know: alive or dead */
		unsigned waits;	  /* that the filesystem is asked for what is not uploaded yet */
		struct users users;
		int64_t idle_ms;  /* since when nobody uses it */
		int64_t retry_ms; /* not before: mending it or taking it away has failed */
		int daemon_fd;	  /* readable when the daemon has ended; -1 = not known */
		char *trouble;	  /* for Status: what went wrong last; NULL = nothing */
	} locked;
};

struct volumes {
	const struct volumes_config *config; /* fixed */
	struct texts *definitions, *references;
	char *mounts_folder, *boot;
	pthread_t watcher;
	bool watching;
	struct lock lock;
	struct wakeup changed; /* a claim is free, or the watcher is to end */
	struct {
		struct list all;
		uint64_t serials;
		bool stopping;
	} locked;
};

/* Waits until nobody else has it; NULL: there is none of this name. serial 0 = any. */
struct volume *volumes_claim(struct volumes *v, const char *name, uint64_t serial);
void volumes_release(struct volumes *v, struct volume *volume);
struct volume *volumes_find_locked(struct volumes *v, const char *name) REQUIRES(&v->lock);
/* text NULL = all is well again. */
void volumes_trouble(struct volumes *v, struct volume *volume, const char *text);

/* -- of claimed volumes -- */
/* What the definition says is mounted and answers when this returns 0. */
int volumes_ensure(struct volumes *v, struct volume *volume, unsigned timeout_s, struct buf *why) MUST_CHECK;
int volumes_leave(struct volumes *v, struct volume *volume, bool lazy) MUST_CHECK;
void volumes_meet_daemon(struct volumes *v, struct volume *volume);

/* -- the watcher -- */
int volumes_watch_start(struct volumes *v) MUST_CHECK;
void volumes_watch_stop(struct volumes *v);

#endif
