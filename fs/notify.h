/* Nodes and names that the kernel must forget, told by a thread of its own.
 *
 * The kernel may wait for a locked page before it forgets, and that page may be locked by a read
 * which waits for the very thread that noticed the change: so that thread only leaves a note here.
 */
#ifndef TOOTFS_NOTIFY_H
#define TOOTFS_NOTIFY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/base/err.h"
#include "cache/base/lock.h"

struct fuse_session;

struct note {
	uint64_t ino;
	char *name; /* of an entry of the folder ino; NULL = ino itself */
};

struct notify {
	struct fuse_session *fuse;
	pthread_t thread;
	bool started;

	struct lock lock;
	struct wakeup wakeup, idle;
	struct {
		struct note *notes;
		size_t count, space;
		bool ended, busy; /* busy: some that were taken out are not told yet */
	} locked;
};

int notify_start(struct notify *notify, struct fuse_session *fuse) MUST_CHECK;
/* The kernel drops content and attributes that it keeps of ino. Thread-safe, never waits. */
void notify_changed(struct notify *notify, uint64_t ino);
/* It asks for the name in the folder again, also where it knew that there was none. */
void notify_named(struct notify *notify, uint64_t folder, const char *name);
/* Until it has forgotten all of that, or a few seconds are over. */
void notify_settle(struct notify *notify);
/* Later notes are dropped. */
void notify_stop(struct notify *notify);

#endif
