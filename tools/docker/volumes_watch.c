/* The thread behind: takes away what nobody has used for warm_s, and puts a new filesystem on top of one whose daemon died
 * while containers have it. A daemon's end is seen by its process (pidfd), which asks nothing of a daemon that is stuck; where
 * its process is not known, by looking at the mount now and then.
 *
 * dockerd mounts, unmounts (after copying the image's files) and mounts again within a tenth of a second for each `docker run`:
 * hence the time to stay warm. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "mounts.h"
#include "spawn.h"
#include "volumes_internal.h"

enum { LOOK_MS = 250, RETRY_MS = 5000, MEND_S = 60 };

enum chore { CHORE_NONE, CHORE_LEAVE, CHORE_MEND, CHORE_MEET };

static bool has_ended(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&one, 1, 0) > 0;
}

static enum chore chore_locked(struct volumes *v, const struct volume *volume, int64_t now_ms) REQUIRES(&v->lock)
{
	if (volume->locked.claimed || volume->locked.waits || !volume->locked.mounted || now_ms < volume->locked.retry_ms)
		return CHORE_NONE;
	if (volume->locked.users.total == 0)
		return now_ms - volume->locked.idle_ms >= (int64_t)v->config->warm_s * 1000 ? CHORE_LEAVE : CHORE_NONE;
	if (volume->locked.daemon_fd < 0)
		return CHORE_MEET;
	return has_ended(volume->locked.daemon_fd) ? CHORE_MEND : CHORE_NONE;
}

/* The next one with something to do is claimed. */
static struct volume *take(struct volumes *v, enum chore *chore)
{
	int64_t now_ms = clock_ms();
	struct volume *found = NULL;

	lock_take(&v->lock);
	for (struct list *l = v->locked.all.next; l != &v->locked.all && !found && !v->locked.stopping; l = l->next) {
		struct volume *volume = container_of(l, struct volume, link);

		*chore = chore_locked(v, volume, now_ms);
		if (*chore != CHORE_NONE)
			found = volume;
	}
	if (found) {
		found->locked.claimed = true;
		found->locked.retry_ms = now_ms + RETRY_MS;
	}
	lock_drop(&v->lock);
	return found;
}

/* Its daemon ended, or is not known. What was unmounted in order is nobody's business: a new mount would reach no container. */
static void mend(struct volumes *v, struct volume *volume)
{
	AUTO_BUF struct buf why = BUF_EMPTY;

	switch (mounts_look(volume->mountpoint)) {
	case MOUNTS_NONE:
		log_warn("volume: somebody has unmounted it name=%s", volume->name);
		if (volumes_leave(v, volume, false))
			log_warn("volume: it is mounted again name=%s", volume->name);
		break;
	case MOUNTS_ALIVE:
		volumes_meet_daemon(v, volume);
		lock_take(&v->lock);
		if (volume->locked.daemon_fd >= 0)
			volume->locked.retry_ms = 0;
		lock_drop(&v->lock);
		break;
	case MOUNTS_DEAD:
		if (volumes_ensure(v, volume, MEND_S, &why)) {
			log_error("volume: the filesystem died, and a new one cannot be mounted yet name=%s error=%s", volume->name,
				  buf_string(&why));
			volumes_trouble(v, volume, buf_string(&why));
		} else {
			volumes_trouble(v, volume, NULL);
		}
		break;
	}
}

static void leave(struct volumes *v, struct volume *volume)
{
	int error = volumes_leave(v, volume, false);

	if (error == -EBUSY)
		log_debug("volume: still open on the host name=%s", volume->name);
	else if (error)
		log_warn("volume: cannot be unmounted name=%s error=%s", volume->name, strerror(-error));
}

static void *watch(void *arg)
{
	struct volumes *v = arg;
	struct volume *volume;
	bool stopping = false;
	enum chore chore;

	while (!stopping) {
		while ((volume = take(v, &chore))) {
			if (chore == CHORE_LEAVE)
				leave(v, volume);
			else
				mend(v, volume);
			volumes_release(v, volume);
		}
		if (getpid() == 1)
			spawn_reap();
		lock_take(&v->lock);
		if (!v->locked.stopping)
			(void)wakeup_wait_until(&v->changed, &v->lock, clock_ms() + LOOK_MS);
		stopping = v->locked.stopping;
		lock_drop(&v->lock);
	}
	return NULL;
}

int volumes_watch_start(struct volumes *v)
{
	int error = thread_start(&v->watcher, "watch", watch, v);

	v->watching = !error;
	return error;
}

void volumes_watch_stop(struct volumes *v)
{
	if (!v->watching)
		return;
	lock_take(&v->lock);
	v->locked.stopping = true;
	wakeup_all(&v->changed);
	lock_drop(&v->lock);
	pthread_join(v->watcher, NULL);
	v->watching = false;
}
