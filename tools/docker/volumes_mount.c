/* One volume's filesystem:
 *
 *                    Mount                        last Unmount, then warm_s
 *     not mounted ──────────▶ mounted, has users ────────────────────────────▶ not mounted
 *                                  │   ▲
 *                    daemon dies   ▼   │ Mount, or the watcher: a new one on top of the dead one
 *                                  dead
 *
 * Whether something is mounted is what the kernel says, never what we remember: daemons and mounts outlive the plugin, and an
 * administrator has umount(8). Users are counted, and the count stored, before the filesystem is touched; where that fails
 * they are taken back. So a plugin that is killed at any instant leaves a count too many, not one too few. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "mounts.h"
#include "spawn.h"
#include "uploads.h"
#include "volumes_internal.h"

struct volume *volumes_claim(struct volumes *v, const char *name, uint64_t serial)
{
	struct volume *volume;

	lock_take(&v->lock);
	while ((volume = volumes_find_locked(v, name)) && volume->locked.claimed)
		wakeup_wait(&v->changed, &v->lock);
	if (volume && serial && volume->serial != serial)
		volume = NULL;
	if (volume)
		volume->locked.claimed = true;
	lock_drop(&v->lock);
	return volume;
}

void volumes_release(struct volumes *v, struct volume *volume)
{
	lock_take(&v->lock);
	volume->locked.claimed = false;
	wakeup_all(&v->changed);
	lock_drop(&v->lock);
}

void volumes_trouble(struct volumes *v, struct volume *volume, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	lock_take(&v->lock);
	free(volume->locked.trouble);
	volume->locked.trouble = copy;
	lock_drop(&v->lock);
}

/* Adds (or drops) a user and stores it. */
static int count_user(struct volumes *v, struct volume *volume, const char *id, bool add)
{
	char *text;
	int error = 0;

	lock_take(&v->lock);
	if (add)
		error = users_add(&volume->locked.users, id);
	else
		users_drop(&volume->locked.users, id);
	if (volume->locked.users.total == 0)
		volume->locked.idle_ms = clock_ms();
	text = error ? NULL : users_text(&volume->locked.users, v->boot);
	lock_drop(&v->lock);
	if (error)
		return error;
	error = text ? texts_put(v->references, volume->name, text) : -ENOMEM;
	free(text);
	return error;
}

static uint64_t users_total(struct volumes *v, struct volume *volume)
{
	uint64_t total;

	lock_take(&v->lock);
	total = volume->locked.users.total;
	lock_drop(&v->lock);
	return total;
}

static void set_daemon(struct volumes *v, struct volume *volume, bool mounted, int fd)
{
	int before;

	lock_take(&v->lock);
	before = volume->locked.daemon_fd;
	volume->locked.daemon_fd = fd;
	volume->locked.mounted = mounted;
	lock_drop(&v->lock);
	if (before >= 0)
		close(before);
}

void volumes_meet_daemon(struct volumes *v, struct volume *volume)
{
	set_daemon(v, volume, true, uploads_daemon(volume->definition.cache));
}

int volumes_ensure(struct volumes *v, struct volume *volume, unsigned timeout_s, struct buf *why)
{
	struct spawn spawn = {.program = v->config->program,
			      .spec = volume->definition.spec,
			      .mountpoint = volume->mountpoint,
			      .options = volume->definition.options,
			      .timeout_ms = (int64_t)timeout_s * 1000};
	enum mounts_state state;
	int error = 0;

	if (volume->definition.damaged) {
		buf_printf(why, "volume %s: %s", volume->name, volume->definition.damaged);
		return -EINVAL;
	}
	state = mounts_look(volume->mountpoint);
	if (state == MOUNTS_NONE)
		error = mounts_make_folder(volume->mountpoint);
	if (error)
		buf_printf(why, "%s cannot be made: %s", volume->mountpoint, strerror(-error));
	else if (state != MOUNTS_ALIVE)
		error = spawn_mount(&spawn, why);
	if (!error && mounts_look(volume->mountpoint) != MOUNTS_ALIVE) {
		buf_printf(why, "%s was mounted and is gone again", volume->mountpoint);
		error = -EIO;
	}
	if (!error && (state != MOUNTS_ALIVE || volume->locked.daemon_fd < 0))
		volumes_meet_daemon(v, volume);
	if (!error && state != MOUNTS_ALIVE)
		log_info("volume: mounted%s name=%s bucket=%s",
			 state == MOUNTS_DEAD ? " on top of its dead one, so that running containers go on" : "", volume->name,
			 volume->definition.spec);
	return error;
}

int volumes_leave(struct volumes *v, struct volume *volume, bool lazy)
{
	unsigned count = mounts_count(volume->mountpoint);
	int error = mounts_take_away(volume->mountpoint, lazy);

	if (error)
		return error;
	set_daemon(v, volume, false, -1);
	if (count)
		log_info("volume: unmounted name=%s", volume->name);
	return 0;
}

int volumes_mount(struct volumes *v, const char *name, const char *id, struct buf *mountpoint, struct buf *why)
{
	struct volume *volume = volumes_claim(v, name, 0);
	int error;

	if (!volume) {
		buf_printf(why, "volume %s not found", name);
		return -ENOENT;
	}
	error = count_user(v, volume, id, true);
	if (error)
		buf_printf(why, "volume %s: who uses it cannot be noted: %s", name, strerror(-error));
	else
		error = volumes_ensure(v, volume, v->config->mount_s, why);
	if (error) {
		log_error("volume: mount failed name=%s error=%s", name, buf_string(why));
		volumes_trouble(v, volume, buf_string(why));
		if (count_user(v, volume, id, false))
			log_warn("volume: a user stays counted name=%s", name);
	} else {
		volumes_trouble(v, volume, NULL);
		buf_text(mountpoint, volume->mountpoint);
	}
	volumes_release(v, volume);
	return error;
}

/* The volume may be claimed by others meanwhile, and mounted for the next container. */
static void wait_uploads(struct volumes *v, const char *name, uint64_t serial, const char *cache)
{
	AUTO_BUF struct buf left = BUF_EMPTY;
	int error = uploads_wait(cache, v->config->wait_s, &left);
	struct volume *volume = volumes_claim(v, name, serial);

	if (error)
		log_warn("volume: not everything is uploaded yet; it stays in the cache, and the filesystem goes on name=%s "
			 "cache=%s left=%s",
			 name, cache, buf_string(&left));
	if (!volume)
		return;
	volumes_trouble(v, volume, error ? buf_string(&left) : NULL);
	lock_take(&v->lock);
	volume->locked.waits--;
	volume->locked.idle_ms = clock_ms();
	lock_drop(&v->lock);
	volumes_release(v, volume);
}

int volumes_unmount(struct volumes *v, const char *name, const char *id, struct buf *why)
{
	struct volume *volume = volumes_claim(v, name, 0);
	AUTO_FREE char *cache = NULL;
	uint64_t serial;
	int error;

	if (!volume) {
		buf_printf(why, "volume %s not found", name);
		return -ENOENT;
	}
	serial = volume->serial;
	error = count_user(v, volume, id, false);
	if (error)
		log_warn("volume: that a user is gone could not be stored name=%s error=%s", name, strerror(-error));
	if (users_total(v, volume) == 0 && !volume->definition.damaged && mounts_count(volume->mountpoint)) {
		cache = strdup(volume->definition.cache);
		lock_take(&v->lock);
		volume->locked.waits += cache != NULL;
		lock_drop(&v->lock);
	}
	volumes_release(v, volume);
	if (cache)
		wait_uploads(v, name, serial, cache);
	return 0;
}
