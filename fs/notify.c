/* A bag of node numbers and names. The thread takes the whole bag and works it off without the lock, so that
 * a note never waits for the kernel. The bag is empty except while the kernel makes the thread
 * wait. */
#include "notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "lowlevel.h"

enum { SETTLE_MS = 3000 };

static void forget(struct notify *notify, const struct note *note)
{
	/* From offset 0, length 0: all content, and the attributes. */
	int error = note->name ? fuse_lowlevel_notify_inval_entry(notify->fuse, note->ino, note->name,
								  strlen(note->name))
			       : fuse_lowlevel_notify_inval_inode(notify->fuse, note->ino, 0, 0);

	/* ENOENT: the kernel does not know it. The others: the mount is gone or not yet there. */
	if (error && error != -ENOENT && error != -ENOTCONN && error != -EBADF && error != -ENODEV)
		log_warn("notify: the kernel may show old content inode=%llu error=%s",
			 (unsigned long long)note->ino, strerror(-error));
}

static void free_notes(struct note *notes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(notes[i].name);
	free(notes);
}

static void *notify_run(void *arg)
{
	struct notify *notify = arg;

	lock_take(&notify->lock);
	while (!notify->locked.ended) {
		size_t count = notify->locked.count;
		struct note *notes = notify->locked.notes;

		if (count == 0) {
			wakeup_wait(&notify->wakeup, &notify->lock);
			continue;
		}
		notify->locked.notes = NULL;
		notify->locked.count = notify->locked.space = 0;
		notify->locked.busy = true;
		lock_drop(&notify->lock);
		for (size_t i = 0; i < count; i++)
			forget(notify, &notes[i]);
		free_notes(notes, count);
		lock_take(&notify->lock);
		notify->locked.busy = false;
		wakeup_all(&notify->idle);
	}
	wakeup_all(&notify->idle);
	lock_drop(&notify->lock);
	return NULL;
}

int notify_start(struct notify *notify, struct fuse_session *fuse)
{
	int error;

	*notify = (struct notify){.fuse = fuse};
	lock_init(&notify->lock);
	wakeup_init(&notify->wakeup);
	wakeup_init(&notify->idle);
	error = thread_start(&notify->thread, "notify", notify_run, notify);
	if (error) {
		wakeup_destroy(&notify->wakeup);
		wakeup_destroy(&notify->idle);
		lock_destroy(&notify->lock);
	}
	notify->started = error == 0;
	return error;
}

static bool grow_locked(struct notify *notify) REQUIRES(&notify->lock)
{
	size_t space = notify->locked.space ? notify->locked.space * 2 : 64;
	struct note *notes = realloc(notify->locked.notes, space * sizeof(*notes));

	if (!notes)
		return false;
	notify->locked.notes = notes;
	notify->locked.space = space;
	return true;
}

/* name is taken over. */
static void add(struct notify *notify, uint64_t ino, char *name, bool kept)
{
	lock_take(&notify->lock);
	if (!notify->locked.ended && kept) {
		kept = notify->locked.count < notify->locked.space || grow_locked(notify);
		if (kept) {
			notify->locked.notes[notify->locked.count++] = (struct note){ino, name};
			name = NULL;
		}
		wakeup_one(&notify->wakeup);
	}
	lock_drop(&notify->lock);
	free(name);
	if (!kept)
		log_warn("notify: no memory, the kernel may show old content inode=%llu",
			 (unsigned long long)ino);
}

void notify_changed(struct notify *notify, uint64_t ino)
{
	add(notify, ino, NULL, true);
}

void notify_named(struct notify *notify, uint64_t folder, const char *name)
{
	char *copy = strdup(name);

	add(notify, folder, copy, copy != NULL);
}

void notify_settle(struct notify *notify)
{
	int64_t until_ms = clock_ms() + SETTLE_MS;

	lock_take(&notify->lock);
	while (!notify->locked.ended && (notify->locked.count || notify->locked.busy) &&
	       wakeup_wait_until(&notify->idle, &notify->lock, until_ms))
		;
	lock_drop(&notify->lock);
}

void notify_stop(struct notify *notify)
{
	if (!notify->started)
		return;
	lock_take(&notify->lock);
	notify->locked.ended = true;
	wakeup_all(&notify->wakeup);
	wakeup_all(&notify->idle);
	lock_drop(&notify->lock);
	pthread_join(notify->thread, NULL);
	notify->started = false;
	free_notes(notify->locked.notes, notify->locked.count);
	notify->locked.notes = NULL;
	notify->locked.count = notify->locked.space = 0;
}
