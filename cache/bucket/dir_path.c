/* Names below the folder of a dir bucket.
 *
 * The folder may be shared with others, so nothing in it is trusted: every path is resolved by
 * openat2(2) beneath the folder and without symlinks, or, where a kernel or a sandbox has no
 * openat2, by one openat(O_NOFOLLOW) for each name.
 *
 * An object store has no folders, so folders come with the first object and go with the last:
 *
 *     put                              remove
 *     1 open the parent: ENOENT
 *     2 make the parents
 *                                      3 unlink the last file, rmdir the parents
 *     4 rename: ENOENT, back to 1
 *
 * rmdir(2) only ever takes an empty folder and rename(2) fails into a removed one, so the loop of
 * put is all that the two need; it ends because each turn needs another remove in the same folder.
 *
 * An answered put must be on stable storage, as with S3: the index then calls the object safe and
 * its blob may be evicted. One syncfs(2) serves all who wait, which with many senders is cheaper
 * than fsync(2) for each file, each new folder and each rename. A caller waits for the first round
 * that starts after its own work; the round's result is everybody's. */
#include "dir.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

enum { PUBLISH_TURNS = 200, RESOLVE_TURNS = 8 };

/* -- resolving -- */

/* The next name of *path into name; false at the end, and where no name is. */
static bool name_next(const char **path, char name[NAME_BYTES_MAX + 1])
{
	size_t length = strcspn(*path, "/");

	if (name_check(*path, length) != 0)
		return false;
	memcpy(name, *path, length);
	name[length] = '\0';
	*path += length;
	if (**path == '/')
		(*path)++;
	return true;
}

static int open_by_steps(const struct dir_bucket *d, const char *path, int flags)
{
	char name[NAME_BYTES_MAX + 1];
	int fd = openat(d->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (*path == '\0') {
		int opened = fd < 0 ? -1 : openat(fd, ".", flags);
		int r = opened < 0 ? -errno : opened;

		if (fd >= 0)
			close(fd);
		return r;
	}
	while (fd >= 0 && name_next(&path, name)) {
		int step = *path ? O_PATH | O_DIRECTORY : flags;
		int next = openat(fd, name, step | O_NOFOLLOW | O_CLOEXEC);
		int r = -errno;

		close(fd);
		if (next < 0)
			return r;
		fd = next;
	}
	if (fd < 0)
		return -errno;
	if (*path == '\0')
		return fd;
	close(fd); /* a name that no key has */
	return -EXDEV;
}

int dir_open_at(struct dir_bucket *d, const char *path, int flags)
{
	struct open_how how = {
	    .flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	/* EAGAIN: something was renamed meanwhile and the kernel cannot tell whether we left. */
	for (int turn = 0; turn < RESOLVE_TURNS && !atomic_load(&d->no_openat2); turn++) {
		long fd = syscall(SYS_openat2, d->root, *path ? path : ".", &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno == ENOSYS)
			atomic_store(&d->no_openat2, true);
		if (errno == ENOSYS || errno == EPERM)
			break;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return open_by_steps(d, path, flags | O_CLOEXEC);
}

/* The folder part of key into folder ("" = none); returns the last name. */
static const char *key_split(const char *key, char folder[KEY_BYTES_MAX + 1])
{
	const char *slash = strrchr(key, '/');
	size_t length = slash ? (size_t)(slash - key) : 0;

	memcpy(folder, key, length);
	folder[length] = '\0';
	return slash ? slash + 1 : key;
}

/* -- temporary files -- */

static int temp_open(struct dir_bucket *d)
{
	int fd;

	if (mkdirat(d->root, DIR_TEMP, 0700) != 0 && errno != EEXIST)
		return -errno;
	fd = openat(d->root, DIR_TEMP, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int dir_temp(struct dir_bucket *d, int *out)
{
	int fd;

	lock_take(&d->lock);
	if (d->locked.temp < 0) {
		fd = temp_open(d);
		if (fd >= 0)
			d->locked.temp = fd;
	} else {
		fd = d->locked.temp;
	}
	lock_drop(&d->lock);
	*out = fd;
	return fd < 0 ? fd : 0;
}

int dir_temp_renew(struct dir_bucket *d)
{
	int fd, r = 0;

	lock_take(&d->lock);
	fd = temp_open(d);
	if (fd < 0 || dup3(fd, d->locked.temp, O_CLOEXEC) < 0)
		r = fd < 0 ? fd : -errno;
	lock_drop(&d->lock);
	if (fd >= 0)
		close(fd);
	return r;
}

int dir_temp_create(struct dir_bucket *d, char name[DIR_NAME_BYTES], int *out)
{
	int temp, r = dir_temp(d, &temp);

	for (int turn = 0; r == 0 && turn < RESOLVE_TURNS; turn++) {
		snprintf(name, DIR_NAME_BYTES, "put-%016" PRIx64 "-%" PRIu64, d->salt,
			 (uint64_t)atomic_fetch_add(&d->serial, 1));
		*out = openat(temp, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (*out >= 0)
			return 0;
		if (errno != ENOENT)
			return -errno;
		r = dir_temp_renew(d);
	}
	return r ? r : -ENOENT;
}

void dir_temp_unlink(struct dir_bucket *d, const char *name)
{
	int temp;

	if (dir_temp(d, &temp) == 0)
		(void)unlinkat(temp, name, 0);
}

/* -- folders that come and go -- */

static int make_folders(struct dir_bucket *d, const char *folder)
{
	char name[NAME_BYTES_MAX + 1];
	int fd = dir_open_at(d, "", O_PATH | O_DIRECTORY);

	while (fd >= 0 && name_next(&folder, name)) {
		int next, r = 0;

		if (mkdirat(fd, name, 0755) != 0 && errno != EEXIST)
			r = -errno;
		next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (r == 0 && next < 0)
			r = -errno;
		close(fd);
		if (r && next >= 0)
			close(next);
		if (r)
			return r;
		fd = next;
	}
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* What resolving a path says when a name on the way is no folder of ours. */
static bool is_in_the_way(int r)
{
	return r == -ENOTDIR || r == -ELOOP || r == -EXDEV;
}

/* One turn: 0, -EAGAIN = the folders have changed, -errno. */
static int publish_once(struct dir_bucket *d, int temp, const char *name, const char *folder,
			const char *last)
{
	AUTO_CLOSE int parent = dir_open_at(d, folder, O_PATH | O_DIRECTORY);
	int r;

	if (parent == -ENOENT) {
		r = make_folders(d, folder);
		if (is_in_the_way(r))
			return -EISDIR;
		return r == 0 || r == -ENOENT ? -EAGAIN : r;
	}
	if (parent < 0)
		return is_in_the_way(parent) ? -EISDIR : parent;
	if (renameat(temp, name, parent, last) == 0)
		return 0;
	r = -errno;
	if (r == -ENOENT)
		return -EAGAIN;
	/* A folder stands there: an empty one is nothing. */
	if (r == -EISDIR && unlinkat(parent, last, AT_REMOVEDIR) == 0)
		return -EAGAIN;
	return r;
}

int dir_publish(struct dir_bucket *d, const char *name, const char *key)
{
	char folder[KEY_BYTES_MAX + 1];
	const char *last = key_split(key, folder);
	int temp, r = dir_temp(d, &temp);

	if (r)
		return r;
	for (int turn = 0; turn < PUBLISH_TURNS; turn++) {
		r = publish_once(d, temp, name, folder, last);
		if (r != -EAGAIN)
			return r;
	}
	return -EAGAIN;
}

/* Removes the folders above key as long as they are empty. */
static void prune_folders(struct dir_bucket *d, const char *key)
{
	char path[KEY_BYTES_MAX + 1], folder[KEY_BYTES_MAX + 1];

	(void)key_split(key, path);
	while (path[0]) {
		const char *last = key_split(path, folder);
		AUTO_CLOSE int parent = dir_open_at(d, folder, O_PATH | O_DIRECTORY);

		if (parent >= 0 && unlinkat(parent, last, AT_REMOVEDIR) != 0 && errno != ENOENT)
			return;
		if (parent < 0 && parent != -ENOENT)
			return;
		memcpy(path, folder, strlen(folder) + 1);
	}
}

int dir_unlink(struct dir_bucket *d, const char *key)
{
	char folder[KEY_BYTES_MAX + 1];
	const char *last = key_split(key, folder);
	AUTO_CLOSE int parent = dir_open_at(d, folder, O_PATH | O_DIRECTORY);
	struct stat st;
	int r = parent < 0 ? parent : 0;

	if (r == 0 && fstatat(parent, last, &st, AT_SYMLINK_NOFOLLOW) != 0)
		r = -errno;
	/* What is not a regular file is no object and not ours to remove. */
	if (r == 0 && S_ISREG(st.st_mode) && unlinkat(parent, last, 0) != 0)
		r = -errno;
	if (is_in_the_way(r))
		return 0;
	if (r == 0 || r == -ENOENT)
		prune_folders(d, key);
	return r == -ENOENT ? 0 : r;
}

/* -- durability -- */

int dir_sync(struct dir_bucket *d)
{
	uint64_t round;
	bool failed;

	lock_take(&d->lock);
	round = d->locked.started + 1;
	while (d->locked.finished < round) {
		uint64_t mine;
		int r;

		if (d->locked.syncing) {
			wakeup_wait(&d->synced, &d->lock);
			continue;
		}
		d->locked.syncing = true;
		mine = ++d->locked.started;
		lock_drop(&d->lock);
		r = syncfs(d->root);
		lock_take(&d->lock);
		d->locked.syncing = false;
		d->locked.finished = mine;
		if (r != 0)
			d->locked.failed = mine;
		wakeup_all(&d->synced);
	}
	failed = d->locked.failed >= round;
	lock_drop(&d->lock);
	return failed ? -EIO : 0;
}
