/* A folder as a bucket: file:///FOLDER, for trying tootfs out, for a NAS, and for tests.
 *
 *     FOLDER/KEY                  an object, a plain file; its content is the object's, byte for
 * byte FOLDER/.tootfs-tmp/put-*    an object that is being written, renamed to its key when
 * complete FOLDER/.tootfs-tmp/upload-ID/   a multipart upload: "key" and the parts (dir_upload.c)
 *     xattr user.tootfs.attrs     "mode:uid:gid:mtime_ns", decimal, where S3 would get
 * x-amz-meta-*; a filesystem without user xattrs keeps none
 *
 * ETag = modification time in ns, size and inode number. Each put sets a time that no other put of
 * this process has, so that content replaced within one tick of the kernel's coarse clock, in a
 * reused inode, still gets another ETag.
 *
 * Symlinks and everything else that is not a regular file are not objects: never followed, listed,
 * read or removed (a put to such a name replaces it). A folder cannot hold both `f` and `f/x`,
 * which a bucket can: the second put is refused. */
#include "dir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { READ_BYTES = 256 << 10, TEMP_AGE_S = 24 * 60 * 60 };

/* -- errors -- */

/* The folder itself was removed. All keys are missing then, but no object was deleted. */
bool dir_is_gone(const struct dir_bucket *d)
{
	struct stat st;

	return fstat(d->root, &st) != 0 || st.st_nlink == 0;
}

int dir_gone(const struct dir_bucket *d)
{
	return fault_set(-ENODEV, false, "the folder %s is gone", d->folder);
}

int dir_fault(struct dir_bucket *d, int error, const char *what, const char *key)
{
	const char *cause = strerror(-error);
	int r = -EIO;
	bool again = false;

	switch (error) {
	case -EISDIR:
		return fault_set(
		    -EINVAL, false,
		    "cannot %s %s: in the folder %s a file and a folder cannot have one "
		    "name, and one of them is there already",
		    what, key, d->folder);
	case -ENODATA:
		return fault_set(-EIO, false,
				 "cannot %s %s: the local file is shorter than it said", what, key);
	case -ECANCELED:
		return fault_set(-ECANCELED, false, "stopped");
	case -ENOENT:
		if (dir_is_gone(d))
			return dir_gone(d);
		r = -ENOENT;
		break;
	case -ENOTDIR:
	case -ELOOP:
	case -EXDEV:
		r = -ENOENT;
		break;
	case -EACCES:
	case -EPERM:
	case -EROFS:
		r = -EACCES;
		break;
	case -ENOSPC:
	case -EDQUOT:
		r = -ENOSPC;
		break;
	case -ENOMEM:
		r = -ENOMEM;
		break;
	case -ENAMETOOLONG:
		r = -EINVAL;
		break;
	default:
		again = true;
	}
	return fault_set(r, again, "cannot %s %s in %s: %s", what, key, d->folder, cause);
}

static bool is_ours(const char *key)
{
	size_t length = strlen(DIR_TEMP);

	return strncmp(key, DIR_TEMP, length) == 0 && (key[length] == '/' || key[length] == '\0');
}

static int refuse_ours(const char *key)
{
	return fault_set(-EINVAL, false,
			 "the key %s is reserved: a dir bucket keeps its unfinished "
			 "files there",
			 key);
}

/* -- reading -- */

/* Opens the file of a key and checks that it is an object and that version. -ESTALE: another one.
 */
static int object_open(struct dir_bucket *d, const char *key, const char *etag, struct object *out)
{
	int fd = is_ours(key) ? -ENOENT : dir_open_at(d, key, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r = 0;

	if (fd == -ENXIO) /* a socket */
		return -ENOENT;
	if (fd == -ESTALE) /* NFS's, not a version of ours */
		return -EIO;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) != 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode))
		r = -ENOENT;
	if (r == 0) {
		dir_object(&st, out);
		dir_attrs_read(fd, &out->attrs);
		if (etag && etag[0] && strcmp(etag, out->etag) != 0)
			r = -ESTALE;
	}
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static int stale(const char *key)
{
	return fault_set(-ESTALE, false, "%s was replaced by another version", key);
}

static int open_fault(struct dir_bucket *d, int r, const char *what, const char *key)
{
	return r == -ESTALE ? stale(key) : dir_fault(d, r, what, key);
}

static int pump(struct dir_bucket *d, int fd, const struct get_request *q, uint64_t end)
{
	uint64_t offset = q->offset;
	size_t space = end - offset < READ_BYTES ? (size_t)(end - offset) : READ_BYTES;
	AUTO_FREE char *bytes = malloc(space ? space : 1);

	if (!bytes)
		return dir_fault(d, -ENOMEM, "read", q->key);
	while (offset < end) {
		size_t want = end - offset < space ? (size_t)(end - offset) : space;
		ssize_t n = pread(fd, bytes, want, (off_t)offset);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dir_fault(d, -errno, "read", q->key);
		if (n == 0)
			return stale(q->key); /* cut short under our hands */
		r = q->sink->take(q->sink, offset, bytes, (size_t)n);
		if (r)
			return fault_set(r, false, "the receiver ended the transfer of %s", q->key);
		offset += (uint64_t)n;
		if (atomic_load(&d->stopped))
			return dir_fault(d, -ECANCELED, "read", q->key);
	}
	return 0;
}

static int dir_get(void *self, const struct get_request *q)
{
	struct dir_bucket *d = self;
	struct object object, after;
	AUTO_CLOSE int fd = object_open(d, q->key, q->etag, &object);
	uint64_t end;
	struct stat st;
	int r;

	if (fd < 0)
		return open_fault(d, fd, "read", q->key);
	if (q->offset > 0 && q->offset >= object.size_bytes)
		return fault_set(-EPROTO, false, "%s has %" PRIu64 " bytes, none at %" PRIu64,
				 q->key, object.size_bytes, q->offset);
	end = object.size_bytes;
	if (q->length > 0 && q->length < end - q->offset)
		end = q->offset + q->length;
	r = q->sink->begin(q->sink, &object);
	if (r)
		return fault_set(r, false, "the receiver ended the transfer of %s", q->key);
	r = pump(d, fd, q, end);
	if (r)
		return r;
	/* Somebody may have written into the file, which no put of ours does. */
	if (fstat(fd, &st) != 0)
		return dir_fault(d, -errno, "read", q->key);
	dir_object(&st, &after);
	return strcmp(after.etag, object.etag) == 0 ? 0 : stale(q->key);
}

int dir_head(void *self, const char *key, struct object *out)
{
	struct dir_bucket *d = self;
	AUTO_CLOSE int fd = object_open(d, key, NULL, out);

	return fd < 0 ? open_fault(d, fd, "look at", key) : 0;
}

/* -- writing -- */

/* Writes a new object of length bytes of from. */
static int store(struct dir_bucket *d, const struct put_request *q, struct object *out)
{
	char name[DIR_NAME_BYTES];
	int fd, r = dir_temp_create(d, name, &fd);

	if (r)
		return r;
	r = dir_copy_bytes(d, q->fd, q->offset, q->length, fd);
	if (r == 0)
		r = dir_seal(d, fd, q->attrs, out);
	close(fd);
	if (r == 0)
		r = dir_publish(d, name, q->key);
	if (r) {
		dir_temp_unlink(d, name);
		return r;
	}
	return dir_sync(d);
}

static int dir_put(void *self, const struct put_request *q, struct object *out)
{
	struct dir_bucket *d = self;
	int r;

	if (is_ours(q->key))
		return refuse_ours(q->key);
	r = store(d, q, out);
	return r ? dir_fault(d, r, "write", q->key) : 0;
}

static int dir_copy(void *self, const struct copy_request *q, struct object *out)
{
	struct dir_bucket *d = self;
	struct object from;
	AUTO_CLOSE int fd = object_open(d, q->from, q->etag, &from);
	struct put_request put = {.key = q->to, .fd = fd, .attrs = q->attrs};
	int r;

	if (fd < 0)
		return open_fault(d, fd, "copy", q->from);
	if (is_ours(q->to))
		return refuse_ours(q->to);
	put.length = from.size_bytes;
	r = store(d, &put, out);
	if (r == -ENODATA)
		return stale(q->from);
	return r ? dir_fault(d, r, "copy to", q->to) : 0;
}

static int dir_remove(void *self, const char *const *keys, size_t count, int *results)
{
	struct dir_bucket *d = self;
	int r;

	if (dir_is_gone(d))
		return dir_gone(d);
	for (size_t i = 0; i < count; i++) {
		r = is_ours(keys[i]) ? 0 : dir_unlink(d, keys[i]);
		results[i] = r ? dir_fault(d, r, "remove", keys[i]) : 0;
		if (atomic_load(&d->stopped))
			return dir_fault(d, -ECANCELED, "remove", keys[i]);
	}
	r = dir_sync(d);
	return r ? dir_fault(d, r, "remove files", "durably") : 0;
}

/* -- life -- */

static int dir_probe(void *self)
{
	struct dir_bucket *d = self;
	AUTO_CLOSE int fd = dir_open_at(d, "", O_RDONLY | O_DIRECTORY);

	if (dir_is_gone(d))
		return dir_gone(d);
	return fd < 0 ? dir_fault(d, fd, "open", "the folder") : 0;
}

/* Removes what a killed daemon left half written. Another daemon or fsck may be at work in the
 * same folder, so only what is a day old; uploads are the index's business. */
static int dir_start(void *self)
{
	struct dir_bucket *d = self;
	int fd = dir_open_at(d, DIR_TEMP, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	struct stat st;

	if (fd >= 0 && !dir)
		close(fd);
	while (dir && (e = readdir(dir))) {
		if (strncmp(e->d_name, "put-", 4) == 0 &&
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_ctim.tv_sec < time(NULL) - TEMP_AGE_S)
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
	return 0;
}

static void dir_stop(void *self)
{
	struct dir_bucket *d = self;

	atomic_store(&d->stopped, true);
}

static void dir_close(void *self)
{
	struct dir_bucket *d = self;

	if (d->locked.temp >= 0)
		close(d->locked.temp);
	/* Only succeeds when nothing is left in it. */
	if (d->root >= 0) {
		(void)unlinkat(d->root, DIR_TEMP, AT_REMOVEDIR);
		close(d->root);
	}
	wakeup_destroy(&d->synced);
	lock_destroy(&d->lock);
	free(d->folder);
	free(d);
}

static const struct bucket_ops dir_ops = {
    .start = dir_start,
    .stop = dir_stop,
    .close = dir_close,
    .probe = dir_probe,
    .get = dir_get,
    .head = dir_head,
    .list = dir_list,
    .put = dir_put,
    .copy = dir_copy,
    .remove = dir_remove,
    .upload_create = dir_upload_create,
    .upload_part = dir_upload_part,
    .upload_complete = dir_upload_complete,
    .upload_abort = dir_upload_abort,
    .upload_list = dir_upload_list,
    .uploads_page = dir_uploads_page,
};

static int folder_open(struct dir_bucket *d, const char *spec)
{
	const char *path = spec + strlen("file://");

	if (*path != '/')
		return fault_set(-EINVAL, false,
				 "%s: write file:///FOLDER, with three slashes and the full path",
				 spec);
	d->folder = realpath(path, NULL);
	if (!d->folder)
		return fault_set(errno == EACCES ? -EACCES : -ENODEV, false,
				 "the folder %s cannot be used as a bucket: %s%s%s", path,
				 strerror(errno),
				 errno == ENOENT ? "; make it with: mkdir -p " : "",
				 errno == ENOENT ? path : "");
	if (strcmp(d->folder, "/") == 0)
		return fault_set(-EINVAL, false,
				 "the whole filesystem cannot be a bucket: name a folder");
	d->root = open(d->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->root < 0)
		return fault_set(errno == ENOTDIR ? -EINVAL : -EACCES, false,
				 "cannot open the folder %s: %s", d->folder, strerror(errno));
	return 0;
}

int dir_bucket_open(const struct bucket_config *config, struct bucket_impl *out)
{
	struct dir_bucket *d = calloc(1, sizeof(*d));
	int r;

	memset(out, 0, sizeof(*out));
	if (!d)
		return fault_set(-ENOMEM, false, "no memory for a bucket");
	d->root = d->locked.temp = -1;
	d->attrs_object = config->attrs_object;
	lock_init(&d->lock);
	wakeup_init(&d->synced);
	r = folder_open(d, config->spec);
	if (r == 0 && getrandom(&d->salt, sizeof(d->salt), 0) != (ssize_t)sizeof(d->salt))
		r = fault_set(-EIO, false, "no random bytes: %s", strerror(errno));
	if (r == 0 && asprintf(&out->identity, "file://%s", d->folder) < 0) {
		out->identity = NULL;
		r = fault_set(-ENOMEM, false, "no memory for a bucket");
	}
	if (r) {
		dir_close(d);
		return r;
	}
	out->ops = &dir_ops;
	out->self = d;
	out->key_bytes_max = KEY_BYTES_MAX;
	return 0;
}
