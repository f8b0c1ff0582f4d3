/* FOLDER/blobs/1a/1a3f0 is blob 0x1a3f0: the folder is its number without the last twelve bits, in hex.
 * A folder that has become empty stays until the next start, when nobody can be about to use it.
 *
 * What makes a blob durable is its fdatasync, the fsync of its folder (the entry), and, when the folder was
 * made since the last time, the fsync of blobs/. That last fact is one flag for all: it starts as true,
 * since a process that was killed may have left folders that were never synced. Making a folder and
 * setting the flag happen under the lock, and so does reading it: who could already create a
 * blob in a folder then also sees the flag of the one who made it.
 *
 * A new fd is good enough for a sync: Linux reports a write error that nobody has seen yet to fds that
 * were opened after it. */
#include "blob.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "cache/base/lock.h"
#include "cache/base/whole.h"

enum { FANOUT_BITS = 12, PATH_BYTES = 40, COPY_BYTES = 1 << 16 };

struct blobs {
	int root; /* FOLDER/blobs, fixed */
	struct lock lock;
	struct {
		bool has_new_folder;
	} locked;
};

static void blob_path(char path[PATH_BYTES], uint64_t id)
{
	snprintf(path, PATH_BYTES, "%" PRIx64 "/%" PRIx64, id >> FANOUT_BITS, id);
}

static void folder_path(char path[PATH_BYTES], uint64_t id)
{
	snprintf(path, PATH_BYTES, "%" PRIx64, id >> FANOUT_BITS);
}

static int open_folder(int at, const char *path)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_stream(int at, const char *path, DIR **out)
{
	int fd = open_folder(at, path);
	if (fd < 0)
		return fd;
	*out = fdopendir(fd);
	if (!*out) {
		int err = -errno;
		close(fd);
		return err;
	}
	return 0;
}

/* The number in a name that was written by us, and by nobody else: no sign, no zeros in front. */
static bool parse_hex(const char *name, uint64_t *out)
{
	char again[PATH_BYTES];
	char *end;

	errno = 0;
	*out = strtoull(name, &end, 16);
	snprintf(again, sizeof(again), "%" PRIx64, *out);
	return errno == 0 && strcmp(name, again) == 0;
}

static int drop_empty_folders(int root)
{
	DIR *stream;
	struct dirent *entry;
	uint64_t number;

	int err = open_stream(root, ".", &stream);
	if (err)
		return err;
	while ((entry = readdir(stream)))
		if (parse_hex(entry->d_name, &number))
			unlinkat(root, entry->d_name, AT_REMOVEDIR); /* ENOTEMPTY is the usual answer */
	closedir(stream);
	return 0;
}

static int open_root(const char *folder, int *out)
{
	AUTO_CLOSE int parent = open_folder(AT_FDCWD, folder);
	if (parent < 0)
		return parent;
	if (mkdirat(parent, "blobs", 0700) && errno != EEXIST)
		return -errno;
	if (fsync(parent))
		return -errno;

	AUTO_CLOSE int root = open_folder(parent, "blobs");
	struct stat st;
	if (root < 0)
		return root;
	if (fstat(root, &st))
		return -errno;
	if ((st.st_mode & 07777) != 0700 && fchmod(root, 0700))
		return -errno;
	int err = drop_empty_folders(root);
	if (err)
		return err;
	*out = root;
	root = -1;
	return 0;
}

int blobs_open(const char *folder, struct blobs **out)
{
	struct blobs *blobs = calloc(1, sizeof(*blobs));
	if (!blobs)
		return -ENOMEM;

	int err = open_root(folder, &blobs->root);
	if (err) {
		free(blobs);
		return err;
	}
	lock_init(&blobs->lock);
	blobs->locked.has_new_folder = true;
	*out = blobs;
	return 0;
}

void blobs_close(struct blobs **blobs)
{
	if (!*blobs)
		return;
	close((*blobs)->root);
	lock_destroy(&(*blobs)->lock);
	free(*blobs);
	*blobs = NULL;
}

static int make_folder(struct blobs *blobs, uint64_t id)
{
	char path[PATH_BYTES];
	int err = 0;

	folder_path(path, id);
	lock_take(&blobs->lock);
	if (mkdirat(blobs->root, path, 0700) == 0)
		blobs->locked.has_new_folder = true;
	else if (errno != EEXIST)
		err = -errno;
	lock_drop(&blobs->lock);
	return err;
}

int blob_create(struct blobs *blobs, uint64_t id, int *fd)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	char path[PATH_BYTES];

	assert(id > 0);
	blob_path(path, id);
	int created = openat(blobs->root, path, flags, 0600);
	if (created < 0 && errno == ENOENT) {
		int err = make_folder(blobs, id);
		if (err)
			return err;
		created = openat(blobs->root, path, flags, 0600);
	}
	if (created < 0)
		return -errno;
	*fd = created;
	return 0;
}

int blob_open(struct blobs *blobs, uint64_t id, int *fd)
{
	char path[PATH_BYTES];

	blob_path(path, id);
	int opened = openat(blobs->root, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (opened < 0)
		return -errno;
	*fd = opened;
	return 0;
}

int blob_drop(struct blobs *blobs, uint64_t id)
{
	char path[PATH_BYTES];

	blob_path(path, id);
	if (unlinkat(blobs->root, path, 0) && errno != ENOENT)
		return -errno;
	return 0;
}

int blob_link(struct blobs *blobs, uint64_t id, int folder_fd, const char *name)
{
	char path[PATH_BYTES];

	blob_path(path, id);
	return linkat(blobs->root, path, folder_fd, name, 0) ? -errno : 0;
}

static int copy_by_hand(int from, int to, uint64_t start, uint64_t end)
{
	AUTO_FREE uint8_t *bytes = malloc(COPY_BYTES);

	if (!bytes)
		return -ENOMEM;
	while (start < end) {
		size_t want = end - start < COPY_BYTES ? (size_t)(end - start) : COPY_BYTES;
		ssize_t n = pread(from, bytes, want, (off_t)start);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0; /* shorter than asked: the rest is a hole */
		int err = blob_write(to, start, bytes, (size_t)n);
		if (err)
			return err;
		start += (uint64_t)n;
	}
	return 0;
}

/* In the kernel as long as it can: where it refuses, or stops without a reason, the rest goes by hand. */
static int copy_data(int from, int to, uint64_t start, uint64_t end)
{
	while (start < end) {
		off_t in = (off_t)start, out = (off_t)start;
		size_t want = end - start < SSIZE_MAX ? (size_t)(end - start) : SSIZE_MAX;
		ssize_t n = copy_file_range(from, &in, to, &out, want, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
			return -errno;
		if (n <= 0)
			return copy_by_hand(from, to, start, end);
		start += (uint64_t)n;
	}
	return 0;
}

static int copy(int from, int to, uint64_t size)
{
	for (uint64_t at = 0; at < size;) {
		off_t data = lseek(from, (off_t)at, SEEK_DATA), hole = (off_t)size;
		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0)
			data = (off_t)at; /* no such thing here: all of it is data */
		else
			hole = lseek(from, data, SEEK_HOLE);
		if ((uint64_t)data >= size)
			break;
		uint64_t end = hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
		int err = copy_data(from, to, (uint64_t)data, end);
		if (err)
			return err;
		at = end;
	}
	return 0;
}

int blob_clone(struct blobs *blobs, int from, uint64_t size, uint64_t to, int *fd)
{
	int made;

	if (size > INT64_MAX)
		return -EFBIG;
	int err = blob_create(blobs, to, &made);
	if (err)
		return err;
	if (ioctl(made, FICLONE, from))
		err = copy(from, made, size);
	if (!err && ftruncate(made, (off_t)size))
		err = -errno;
	if (err) {
		close(made);
		int dropped = blob_drop(blobs, to);
		(void)dropped; /* the first error is the one to tell; the sweep at the next start finds the rest */
		return err;
	}
	*fd = made;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static int sync_folder(struct blobs *blobs, uint64_t id)
{
	char path[PATH_BYTES];

	folder_path(path, id);
	AUTO_CLOSE int fd = open_folder(blobs->root, path);
	if (fd < 0)
		return fd;
	return fsync(fd) ? -errno : 0;
}

static int sync_each(struct blobs *blobs, const uint64_t *ids, size_t count)
{
	bool has_entry = false;

	for (size_t i = 0; i < count; i++) {
		AUTO_CLOSE int fd = -1;
		int err = blob_open(blobs, ids[i], &fd);
		if (err && err != -ENOENT)
			return err;
		if (!err && fdatasync(fd))
			return -errno;
		has_entry = has_entry || !err;

		bool last = i + 1 == count || ids[i] >> FANOUT_BITS != ids[i + 1] >> FANOUT_BITS;
		if (last && has_entry) {
			err = sync_folder(blobs, ids[i]);
			if (err)
				return err;
			has_entry = false;
		}
	}
	return 0;
}

/* The lock is held over the fsync, so that nobody takes a flag that is being worked on for work done. */
static int sync_root(struct blobs *blobs)
{
	int err = 0;

	lock_take(&blobs->lock);
	if (blobs->locked.has_new_folder && fsync(blobs->root))
		err = -errno;
	if (!err)
		blobs->locked.has_new_folder = false;
	lock_drop(&blobs->lock);
	return err;
}

int blobs_sync(struct blobs *blobs, uint64_t *ids, size_t count)
{
	if (count == 0)
		return 0;
	if (count > BLOBS_SYNC_EACH_MAX)
		return blobs_sync_all(blobs);
	qsort(ids, count, sizeof(*ids), compare_ids);
	int err = sync_each(blobs, ids, count);
	return err ? err : sync_root(blobs);
}

int blobs_sync_all(struct blobs *blobs)
{
	return syncfs(blobs->root) ? -errno : 0;
}

static int each_in_folder(struct blobs *blobs, const char *name, blob_visit *visit, void *arg)
{
	DIR *stream;
	struct dirent *entry;
	uint64_t folder, id;
	struct stat st;

	if (!parse_hex(name, &folder))
		return 0;
	int err = open_stream(blobs->root, name, &stream);
	if (err)
		return err == -ENOTDIR || err == -ENOENT || err == -ELOOP ? 0 : err;
	while (!err && (errno = 0, entry = readdir(stream))) {
		if (!parse_hex(entry->d_name, &id) || id == 0 || id >> FANOUT_BITS != folder)
			continue;
		if (fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			err = errno == ENOENT ? 0 : -errno;
		else if (S_ISREG(st.st_mode))
			err = visit(arg, id, (uint64_t)st.st_blocks * 512);
	}
	if (!err && errno && !entry)
		err = -errno;
	closedir(stream);
	return err;
}

int blobs_each(struct blobs *blobs, blob_visit *visit, void *arg)
{
	DIR *stream;
	struct dirent *entry;

	int err = open_stream(blobs->root, ".", &stream);
	if (err)
		return err;
	while (!err && (errno = 0, entry = readdir(stream)))
		err = each_in_folder(blobs, entry->d_name, visit, arg);
	if (!err && errno && !entry)
		err = -errno;
	closedir(stream);
	return err;
}

int blobs_statvfs(struct blobs *blobs, struct statvfs *out)
{
	return fstatvfs(blobs->root, out) ? -errno : 0;
}

int blob_write(int fd, uint64_t offset, const void *bytes, size_t length)
{
	if (offset > INT64_MAX || length > INT64_MAX - offset)
		return -EFBIG;
	return whole_write(fd, bytes, length, offset);
}

int blob_read(int fd, uint64_t offset, void *bytes, size_t length)
{
	if (offset > INT64_MAX || length > INT64_MAX - offset)
		return -EFBIG;
	ssize_t n = whole_read(fd, bytes, length, offset);
	return n < 0 ? (int)n : (size_t)n < length ? -EIO : 0;
}
