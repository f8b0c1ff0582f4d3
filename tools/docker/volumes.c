/* The table of volumes.
 *
 *     STATE/volumes/NAME   the definition; on stable storage before Create returns
 *     STATE/mounts/NAME    where it is mounted
 *     RUN/users/NAME       who has it mounted, with the kernel's boot id: after a reboot nobody has
 *
 * Every error of Get makes dockerd believe that the volume does not exist, and the next `docker run` then writes to an empty
 * folder of dockerd's own. So Get looks at nothing but memory; a definition that cannot be read is a volume that is there and
 * cannot be mounted; and a plugin that cannot read its state does not start, which dockerd reports as an error. */
#include "volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "mounts.h"
#include "uploads.h"
#include "volumes_internal.h"

struct volume *volumes_find_locked(struct volumes *v, const char *name)
{
	for (struct list *l = v->locked.all.next; l != &v->locked.all; l = l->next) {
		struct volume *volume = container_of(l, struct volume, link);

		if (strcmp(volume->name, name) == 0)
			return volume;
	}
	return NULL;
}

static void volume_free(struct volume *volume)
{
	if (volume->locked.daemon_fd >= 0)
		close(volume->locked.daemon_fd);
	users_destroy(&volume->locked.users);
	definition_destroy(&volume->definition);
	free(volume->locked.trouble);
	free(volume->mountpoint);
	free(volume->name);
	free(volume);
}

static int volume_new(struct volumes *v, const char *name, struct volume **out)
{
	struct volume *volume = calloc(1, sizeof(*volume));

	*out = NULL;
	if (!volume)
		return -ENOMEM;
	volume->locked.daemon_fd = -1;
	volume->name = strdup(name);
	if (asprintf(&volume->mountpoint, "%s/%s", v->mounts_folder, name) < 0)
		volume->mountpoint = NULL;
	if (!volume->name || !volume->mountpoint || users_init(&volume->locked.users)) {
		volume_free(volume);
		return -ENOMEM;
	}
	*out = volume;
	return 0;
}

static void insert_locked(struct volumes *v, struct volume *volume) REQUIRES(&v->lock)
{
	volume->serial = ++v->locked.serials;
	volume->locked.idle_ms = clock_ms();
	list_append(&v->locked.all, &volume->link);
}

/* -- at the start -- */

static int read_users(struct volumes *v, struct volume *volume)
{
	AUTO_FREE char *text = NULL;
	size_t length = 0;
	int error = texts_get(v->references, volume->name, &text, &length);

	if (error == -ENOENT)
		return 0;
	if (error)
		return error;
	users_destroy(&volume->locked.users);
	return users_read(&volume->locked.users, text, length, v->boot);
}

static int read_volume(void *arg, const char *name)
{
	struct volumes *v = arg;
	AUTO_FREE char *text = NULL;
	struct volume *volume;
	size_t length = 0;
	int error = volume_new(v, name, &volume);

	if (error)
		return error;
	error = texts_get(v->definitions, name, &text, &length);
	if (!error)
		error = definition_read(&volume->definition, name, text, length, v->config->cache_folder);
	if (!error)
		error = read_users(v, volume);
	if (error) {
		volume_free(volume);
		return error;
	}
	if (volume->definition.damaged)
		log_error("volume: it cannot be mounted name=%s error=%s", name, volume->definition.damaged);
	volume->locked.mounted = mounts_count(volume->mountpoint) > 0;
	lock_take(&v->lock);
	insert_locked(v, volume);
	lock_drop(&v->lock);
	return 0;
}

static char *read_boot(void)
{
	char text[64];
	AUTO_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return NULL;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	return strdup(text);
}

static int open_store(const char *folder, const char *name, bool durable, struct texts **out, struct buf *why)
{
	AUTO_FREE char *path = NULL;
	int error;

	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	error = texts_open(path, durable, out);
	if (error == -EBUSY)
		buf_printf(why, "another docker-volume-tootfs uses %s", path);
	else if (error)
		buf_printf(why, "%s cannot be used: %s", path, strerror(-error));
	return error;
}

static int prepare(struct volumes *v, struct buf *why)
{
	int error = open_store(v->config->state_folder, "volumes", true, &v->definitions, why);

	if (!error)
		error = open_store(v->config->run_folder, "users", false, &v->references, why);
	if (error)
		return error;
	v->boot = read_boot();
	if (asprintf(&v->mounts_folder, "%s/mounts", v->config->state_folder) < 0)
		v->mounts_folder = NULL;
	if (!v->boot || !v->mounts_folder)
		return -ENOMEM;
	if (mkdir(v->mounts_folder, 0711) && errno != EEXIST)
		return -errno;
	error = mounts_share(v->mounts_folder);
	if (error)
		log_warn("volumes: the mount points cannot be shared; a running container will not see a new filesystem in "
			 "place of one that died folder=%s error=%s",
			 v->mounts_folder, strerror(-error));
	error = texts_each(v->definitions, read_volume, v);
	if (error)
		buf_printf(why, "the volumes in %s/volumes cannot be read: %s", v->config->state_folder, strerror(-error));
	return error;
}

int volumes_open(const struct volumes_config *config, struct volumes **out, struct buf *why)
{
	struct volumes *v = calloc(1, sizeof(*v));
	int error;

	*out = NULL;
	if (!v)
		return -ENOMEM;
	v->config = config;
	lock_init(&v->lock);
	wakeup_init(&v->changed);
	list_init(&v->locked.all);
	error = prepare(v, why);
	if (error) {
		if (!why->length)
			buf_text(why, strerror(-error));
		volumes_close(&v);
	}
	*out = v;
	return error;
}

int volumes_start(struct volumes *v)
{
	return volumes_watch_start(v);
}

void volumes_stop(struct volumes *v)
{
	volumes_watch_stop(v);
}

void volumes_close(struct volumes **volumes)
{
	struct volumes *v = *volumes;
	struct list *l;

	*volumes = NULL;
	if (!v)
		return;
	while ((l = list_shift(&v->locked.all)))
		volume_free(container_of(l, struct volume, link));
	texts_close(&v->definitions);
	texts_close(&v->references);
	wakeup_destroy(&v->changed);
	lock_destroy(&v->lock);
	free(v->mounts_folder);
	free(v->boot);
	free(v);
}

/* -- calls -- */

/* One daemon a cache folder, and one writer a bucket: better said now than when a container starts. */
static int check_apart_locked(struct volumes *v, const struct volume *new, struct buf *why) REQUIRES(&v->lock)
{
	for (struct list *l = v->locked.all.next; l != &v->locked.all; l = l->next) {
		const struct volume *old = container_of(l, struct volume, link);

		if (!old->definition.damaged && strcmp(old->definition.cache, new->definition.cache) == 0) {
			buf_printf(why, "volume %s already has this %s; several containers can use one volume", old->name,
				   strcmp(old->definition.spec, new->definition.spec) ? "cache folder" : "bucket");
			return -EEXIST;
		}
	}
	return 0;
}

/* *fresh: it was put into the table, claimed. */
static int enter(struct volumes *v, struct volume *new, bool *fresh, struct buf *why)
{
	struct volume *old;
	int error = 0;

	lock_take(&v->lock);
	while ((old = volumes_find_locked(v, new->name)) && old->locked.claimed)
		wakeup_wait(&v->changed, &v->lock);
	*fresh = !old;
	if (old && !(old->definition.given && json_equal(old->definition.given, new->definition.given))) {
		buf_printf(why, "volume %s exists with other options; remove it first: that touches nothing in the bucket",
			   new->name);
		error = -EEXIST;
	} else if (!old) {
		error = check_apart_locked(v, new, why);
	}
	*fresh = *fresh && !error;
	if (*fresh) {
		new->locked.claimed = true;
		insert_locked(v, new);
	}
	lock_drop(&v->lock);
	return error;
}

/* Ends the claim with the volume itself. */
static void forget(struct volumes *v, struct volume *volume)
{
	lock_take(&v->lock);
	list_remove(&volume->link);
	wakeup_all(&v->changed);
	lock_drop(&v->lock);
	volume_free(volume);
}

int volumes_create(struct volumes *v, const char *name, const json_t *options, struct buf *why)
{
	AUTO_FREE char *text = NULL;
	struct volume *volume;
	bool fresh = false;
	int error = volume_new(v, name, &volume);

	if (error)
		return error;
	error = definition_make(&volume->definition, name, options, v->config->cache_folder, why);
	if (!error)
		error = enter(v, volume, &fresh, why);
	if (!fresh) {
		volume_free(volume);
		return error;
	}
	text = definition_text(&volume->definition);
	error = text ? texts_put(v->definitions, name, text) : -ENOMEM;
	if (error) {
		buf_printf(why, "the definition cannot be stored: %s", strerror(-error));
		forget(v, volume);
		return error;
	}
	log_info("volume: created name=%s bucket=%s", name, volume->definition.spec);
	volumes_release(v, volume);
	return 0;
}

static void send_first(struct volumes *v, struct volume *volume)
{
	AUTO_BUF struct buf left = BUF_EMPTY;

	if (volume->definition.damaged || mounts_count(volume->mountpoint) == 0)
		return;
	if (uploads_wait(volume->definition.cache, v->config->wait_s, &left))
		log_warn("volume: removed before all was uploaded; the rest stays in the cache, and goes on when this bucket is "
			 "mounted again name=%s cache=%s left=%s",
			 volume->name, volume->definition.cache, buf_string(&left));
}

/* dockerd has checked that none of its containers has it: a count that is left was lost by a daemon that was killed. */
int volumes_remove(struct volumes *v, const char *name, struct buf *why)
{
	struct volume *volume = volumes_claim(v, name, 0);
	int error;

	if (!volume) {
		buf_printf(why, "volume %s not found", name);
		return -ENOENT;
	}
	send_first(v, volume);
	error = volumes_leave(v, volume, true);
	if (!error)
		error = mounts_drop_folder(volume->mountpoint);
	if (!error)
		error = texts_drop(v->references, name);
	if (!error)
		error = texts_drop(v->definitions, name);
	if (error) {
		buf_printf(why, "volume %s cannot be removed: %s", name, strerror(-error));
		log_error("volume: cannot be removed name=%s error=%s", name, strerror(-error));
		volumes_release(v, volume);
		return error;
	}
	log_info("volume: removed; its bucket stays as it is name=%s", name);
	forget(v, volume);
	return 0;
}

static json_t *describe_locked(const struct volume *volume)
{
	const struct definition *d = &volume->definition;
	const char *trouble = d->damaged ? d->damaged : volume->locked.trouble;
	/* a copy, since what is returned is read without the lock */
	json_t *status = json_pack("{ss* so* sb sI ss*}", "bucket", d->spec, "options", json_deep_copy(d->given), "mounted",
				   volume->locked.mounted, "users", (json_int_t)volume->locked.users.total, "trouble", trouble);

	return json_pack("{ss ss ss so}", "Name", volume->name, "Mountpoint", volume->mountpoint, "CreatedAt", d->created,
			 "Status", status);
}

int volumes_get(struct volumes *v, const char *name, json_t **out, struct buf *why)
{
	struct volume *volume;
	int error = 0;

	*out = NULL;
	lock_take(&v->lock);
	volume = volumes_find_locked(v, name);
	if (volume)
		*out = describe_locked(volume);
	lock_drop(&v->lock);
	if (!volume) {
		buf_printf(why, "volume %s not found", name);
		error = -ENOENT;
	} else if (!*out) {
		error = -ENOMEM;
	}
	return error;
}

int volumes_list(struct volumes *v, json_t **out)
{
	bool failed = false;

	*out = json_array();
	if (!*out)
		return -ENOMEM;
	lock_take(&v->lock);
	for (struct list *l = v->locked.all.next; l != &v->locked.all; l = l->next)
		failed = json_array_append_new(*out, describe_locked(container_of(l, struct volume, link))) || failed;
	lock_drop(&v->lock);
	if (!failed)
		return 0;
	json_decref(*out);
	*out = NULL;
	return -ENOMEM;
}
