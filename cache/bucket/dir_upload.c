/* Multipart uploads of a dir bucket: parts wait in the temporary folder and become one file at the
 * end.
 *
 *     .tootfs-tmp/upload-ID/key       "mode:uid:gid:mtime_ns" or "-", a newline, the key
 *     .tootfs-tmp/upload-ID/part-N    ETag as of an object; renamed here when complete
 *
 * ID is 32 hexadecimal digits. The parts are copied into a new temporary file, which the kernel
 * does without moving bytes where the filesystem can share blocks, and that file is published as
 * any other.
 *
 * Complete must be repeatable, since the daemon can die after it and before the index knows. The
 * parts are gone then, but their ETags say how long they were and when they were made: an object of
 * just that length that is younger than all of them is the one that they became. */
#include "dir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "cache/base/hex.h"

enum { ID_BYTES = 16, HEAD_BYTES = 96 };

#define UPLOAD_PREFIX "upload-"

static bool is_id(const char *id)
{
	return strlen(id) == 2 * ID_BYTES && strspn(id, "0123456789abcdef") == 2 * ID_BYTES;
}

static int no_upload(const char *key)
{
	return fault_set(-ENOMSG, false, "there is no such multipart upload for %s", key);
}

static int upload_open(struct dir_bucket *d, const char *id)
{
	char name[DIR_NAME_BYTES];
	int temp, r = is_id(id) ? dir_temp(d, &temp) : -ENOENT;

	if (r)
		return r;
	snprintf(name, sizeof(name), UPLOAD_PREFIX "%s", id);
	r = openat(temp, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

/* Removes the files of an upload and its folder. */
static int upload_remove(struct dir_bucket *d, int upload, const char *id)
{
	char name[DIR_NAME_BYTES];
	int temp, r = dir_temp(d, &temp);
	int copy = openat(upload, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return -EIO;
	}
	/* First what makes it an upload: the rest is then found by nobody. */
	(void)unlinkat(upload, "key", 0);
	while (r == 0 && (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), e->d_name, 0) != 0 && errno != ENOENT)
			r = -errno;
	}
	closedir(dir);
	snprintf(name, sizeof(name), UPLOAD_PREFIX "%s", id);
	if (r == 0 && unlinkat(temp, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
		r = -errno;
	return r;
}

/* -- the key file -- */

static int key_write(int upload, const char *key, const struct object_attrs *a)
{
	AUTO_CLOSE int fd = openat(upload, "key", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char text[HEAD_BYTES + KEY_BYTES_MAX];
	int length;

	if (fd < 0)
		return -errno;
	if (a && a->valid)
		length = snprintf(text, sizeof(text),
				  "%" PRIu32 ":%" PRIu32 ":%" PRIu32 ":%" PRId64 "\n%s", a->mode,
				  a->uid, a->gid, a->mtime_ns, key);
	else
		length = snprintf(text, sizeof(text), "-\n%s", key);
	if (length < 0 || (size_t)length >= sizeof(text))
		return -EINVAL;
	return write(fd, text, (size_t)length) == length ? 0 : -EIO;
}

/* -ENOENT: there is none, or it makes no sense. attrs and created_ns may be NULL. */
static int key_read(int upload, char key[KEY_BYTES_MAX + 1], struct object_attrs *attrs,
		    int64_t *created_ns)
{
	AUTO_CLOSE int fd = openat(upload, "key", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[HEAD_BYTES + KEY_BYTES_MAX + 1], *newline;
	struct object_attrs a = {.valid = true};
	struct object object;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0 || fstat(fd, &st) != 0)
		return n < 0 ? -errno : -ENOENT;
	text[n] = '\0';
	newline = strchr(text, '\n');
	if (!newline || strlen(newline + 1) > KEY_BYTES_MAX)
		return -ENOENT;
	memcpy(key, newline + 1, strlen(newline + 1) + 1);
	dir_object(&st, &object);
	if (created_ns)
		*created_ns = object.mtime_ns;
	if (attrs && sscanf(text, "%10" SCNu32 ":%10" SCNu32 ":%10" SCNu32 ":%20" SCNd64 "\n",
			    &a.mode, &a.uid, &a.gid, &a.mtime_ns) == 4)
		*attrs = a;
	return 0;
}

/* Opens the upload and checks that it is for this key. */
static int upload_of(struct dir_bucket *d, const char *key, const char *id)
{
	char its_key[KEY_BYTES_MAX + 1];
	int fd = upload_open(d, id), r;

	if (fd < 0)
		return fd;
	r = key_read(fd, its_key, NULL, NULL);
	if (r == 0 && strcmp(its_key, key) != 0)
		r = -ENOENT;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

/* -- the operations -- */

int dir_upload_create(void *self, const char *key, const struct object_attrs *attrs,
		      char id[UPLOAD_ID_BYTES])
{
	struct dir_bucket *d = self;
	unsigned char random[ID_BYTES];
	char name[DIR_NAME_BYTES];
	int temp, r = dir_temp(d, &temp);
	AUTO_CLOSE int fd = -1;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		r = -EIO;
	hex_encode(id, random, sizeof(random));
	snprintf(name, sizeof(name), UPLOAD_PREFIX "%s", id);
	if (r == 0 && mkdirat(temp, name, 0700) != 0) {
		r = -errno;
		if (r == -ENOENT) {
			r = dir_temp_renew(d);
			if (r == 0 && mkdirat(temp, name, 0700) != 0)
				r = -errno;
		}
	}
	if (r == 0)
		fd = upload_open(d, id);
	if (r == 0)
		r = fd < 0 ? fd : key_write(fd, key, attrs);
	if (r == 0)
		r = dir_sync(d);
	return r ? dir_fault(d, r, "begin an upload of", key) : 0;
}

int dir_upload_part(void *self, const struct part_request *q, struct part *out)
{
	struct dir_bucket *d = self;
	char name[DIR_NAME_BYTES], part[DIR_NAME_BYTES];
	AUTO_CLOSE int upload = upload_of(d, q->key, q->id);
	AUTO_CLOSE int fd = -1;
	struct object object;
	int temp, r;

	if (upload == -ENOENT)
		return no_upload(q->key);
	r = upload < 0 ? upload : dir_temp_create(d, name, &fd);
	if (r)
		return dir_fault(d, r, "write a part of", q->key);
	r = dir_copy_bytes(d, q->fd, q->offset, q->length, fd);
	if (r == 0)
		r = dir_seal(d, fd, NULL, &object);
	snprintf(part, sizeof(part), "part-%u", q->number);
	if (r == 0)
		r = dir_temp(d, &temp);
	if (r == 0 && renameat(temp, name, upload, part) != 0)
		r = -errno;
	if (r == -ENOENT) {
		dir_temp_unlink(d, name);
		return no_upload(q->key); /* aborted meanwhile */
	}
	if (r)
		dir_temp_unlink(d, name);
	else
		r = dir_sync(d);
	if (r)
		return dir_fault(d, r, "write a part of", q->key);
	out->number = q->number;
	memcpy(out->etag, object.etag, sizeof(out->etag));
	return 0;
}

/* Appends part to to. -EBADMSG: it is not the part that was sent. */
static int part_append(struct dir_bucket *d, int upload, const struct part *part, int to)
{
	char name[DIR_NAME_BYTES];
	struct object object;
	struct stat st;

	snprintf(name, sizeof(name), "part-%u", part->number);
	AUTO_CLOSE int fd = openat(upload, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? -EBADMSG : -errno;
	if (fstat(fd, &st) != 0)
		return -errno;
	dir_object(&st, &object);
	if (!S_ISREG(st.st_mode) || strcmp(object.etag, part->etag) != 0)
		return -EBADMSG;
	return dir_copy_bytes(d, fd, 0, object.size_bytes, to);
}

/* Whether the parts have become this object already. */
static bool is_made_of(const struct object *object, const struct part *parts, size_t count)
{
	uint64_t size = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t mtime, bytes;

		if (sscanf(parts[i].etag, "%16" SCNx64 "-%16" SCNx64 "-", &mtime, &bytes) != 2 ||
		    (int64_t)mtime >= object->mtime_ns)
			return false;
		size += bytes;
	}
	return size == object->size_bytes;
}

/* Publishes the parts as one object. */
static int join(struct dir_bucket *d, int upload, const char *key, const struct part *parts,
		size_t count, struct object *out)
{
	char name[DIR_NAME_BYTES], its_key[KEY_BYTES_MAX + 1];
	struct object_attrs attrs = {.valid = false};
	int fd, r = key_read(upload, its_key, &attrs, NULL);

	if (r == 0)
		r = dir_temp_create(d, name, &fd);
	if (r)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = part_append(d, upload, &parts[i], fd);
	if (r == 0)
		r = dir_seal(d, fd, &attrs, out);
	close(fd);
	if (r == 0)
		r = dir_publish(d, name, key);
	if (r)
		dir_temp_unlink(d, name);
	return r;
}

int dir_upload_complete(void *self, const char *key, const char *id, const struct part *parts,
			size_t count, struct object *out)
{
	struct dir_bucket *d = self;
	AUTO_CLOSE int upload = upload_of(d, key, id);
	int r;

	if (upload == -ENOENT) {
		r = dir_head(d, key, out);
		return r == 0 && is_made_of(out, parts, count) ? 0 : no_upload(key);
	}
	r = upload < 0 ? upload : join(d, upload, key, parts, count, out);
	if (r == -EBADMSG)
		return fault_set(-ENOMSG, false,
				 "a part of the upload of %s is not the one that was sent", key);
	/* The object is there; what stays of the upload is only in the way. */
	if (r == 0) {
		(void)upload_remove(d, upload, id);
		r = dir_sync(d);
	}
	return r ? dir_fault(d, r, "complete the upload of", key) : 0;
}

/* An upload whose key file is gone, but not its parts: a process ended in the middle of upload_remove. */
static int upload_remains(struct dir_bucket *d, const char *id)
{
	int upload = upload_open(d, id);

	if (upload >= 0 && faccessat(upload, "key", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		close(upload);
		return -ENOENT;
	}
	return upload;
}

int dir_upload_abort(void *self, const char *key, const char *id)
{
	struct dir_bucket *d = self;
	int found = upload_of(d, key, id);
	AUTO_CLOSE int upload = found == -ENOENT ? upload_remains(d, id) : found;
	int r;

	if (upload == -ENOENT)
		return 0;
	r = upload < 0 ? upload : upload_remove(d, upload, id);
	return r ? dir_fault(d, r, "abort an upload of", key) : 0;
}

struct upload_walk {
	const char *key; /* only those for it; NULL = all */
	upload_visit *visit;
	key_upload_visit *visit_key; /* where key is NULL */
	void *arg;
};

/* 1 = visit ended it. */
static int upload_visit_one(struct dir_bucket *d, const char *name, const struct upload_walk *w)
{
	char its_key[KEY_BYTES_MAX + 1];
	const char *id = name + strlen(UPLOAD_PREFIX);
	int64_t created_ns = 0;
	int r;

	if (strncmp(name, UPLOAD_PREFIX, strlen(UPLOAD_PREFIX)) != 0)
		return 0;
	AUTO_CLOSE int upload = upload_open(d, id);
	if (upload < 0 || key_read(upload, its_key, NULL, &created_ns) != 0)
		return 0;
	if (!w->key)
		r = w->visit_key(w->arg, its_key, id, created_ns);
	else
		r = strcmp(its_key, w->key) == 0 ? w->visit(w->arg, id, created_ns) : 0;
	return r > 0 ? 1 : r;
}

static int uploads_walk(struct dir_bucket *d, const struct upload_walk *w)
{
	int fd = dir_open_at(d, DIR_TEMP, O_RDONLY | O_DIRECTORY), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (fd == -ENOENT)
		return 0;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return dir_fault(d, fd < 0 ? fd : -ENOMEM, "list the uploads of", w->key ? w->key : "all keys");
	}
	while (r == 0 && (e = readdir(dir)))
		r = upload_visit_one(d, e->d_name, w);
	closedir(dir);
	return r;
}

int dir_upload_list(void *self, const char *key, upload_visit *visit, void *arg)
{
	const struct upload_walk walk = {.key = key, .visit = visit, .arg = arg};

	return uploads_walk(self, &walk);
}

/* All of them are one page. */
int dir_uploads_page(void *self, const struct upload_marks *marks, struct upload_marks *next, key_upload_visit *visit,
		     void *arg)
{
	const struct upload_walk walk = {.visit_key = visit, .arg = arg};

	(void)marks;
	*next = (struct upload_marks){NULL, NULL};
	return uploads_walk(self, &walk);
}
