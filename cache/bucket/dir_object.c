/* The file of an object in a dir bucket: its bytes, its attrs and its ETag (dir.c says which). */
#include "dir.h"
#include "cache/base/clock.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>

enum { COPY_BYTES = 256 << 10, ATTRS_BYTES = 96 };

#define ATTRS_NAME "user.tootfs.attrs"

/* -- bytes -- */

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, bytes, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		length -= (size_t)n;
	}
	return 0;
}

static int copy_by_hand(struct dir_bucket *d, int from, uint64_t offset, uint64_t length, int to)
{
	size_t space = length < COPY_BYTES ? (size_t)length : COPY_BYTES;
	AUTO_FREE char *bytes = malloc(space ? space : 1);
	int r = bytes ? 0 : -ENOMEM;

	while (r == 0 && length > 0) {
		ssize_t n =
		    pread(from, bytes, length < space ? (size_t)length : space, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		r = write_all(to, bytes, (size_t)n);
		offset += (uint64_t)n;
		length -= (uint64_t)n;
		if (atomic_load(&d->stopped))
			r = -ECANCELED;
	}
	return r;
}

int dir_copy_bytes(struct dir_bucket *d, int from, uint64_t offset, uint64_t length, int to)
{
	while (length > 0 && !atomic_load(&d->no_copy_range)) {
		off_t at = (off_t)offset;
		size_t step = length < (64 << 20) ? (size_t)length : 64 << 20;
		ssize_t n = copy_file_range(from, &at, to, NULL, step, 0);

		if (n < 0 && errno == EINTR)
			continue;
		/* Other filesystem, old kernel, odd file: whatever it is, read and write say it
		 * better. */
		if (n < 0 && (errno == EXDEV || errno == ENOSYS))
			atomic_store(&d->no_copy_range, true);
		if (n <= 0)
			break;
		offset += (uint64_t)n;
		length -= (uint64_t)n;
		if (atomic_load(&d->stopped))
			return -ECANCELED;
	}
	return copy_by_hand(d, from, offset, length, to);
}

/* -- what an object is -- */

void dir_object(const struct stat *st, struct object *out)
{
	memset(out, 0, sizeof(*out));
	out->size_bytes = (uint64_t)st->st_size;
	out->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	snprintf(out->etag, sizeof(out->etag), "%" PRIx64 "-%" PRIx64 "-%" PRIx64,
		 (uint64_t)out->mtime_ns, out->size_bytes, (uint64_t)st->st_ino);
}

void dir_attrs_read(int fd, struct object_attrs *out)
{
	char text[ATTRS_BYTES];
	ssize_t n = fgetxattr(fd, ATTRS_NAME, text, sizeof(text) - 1);
	struct object_attrs a = {.valid = true};
	int used = -1;

	if (n <= 0)
		return;
	text[n] = '\0';
	if (sscanf(text, "%10" SCNu32 ":%10" SCNu32 ":%10" SCNu32 ":%20" SCNd64 "%n", &a.mode,
		   &a.uid, &a.gid, &a.mtime_ns, &used) == 4 &&
	    used == n)
		*out = a;
}

static void attrs_write(const struct dir_bucket *d, int fd, const struct object_attrs *a)
{
	char text[ATTRS_BYTES];
	int length;

	if (!a || !a->valid || !(d->attrs_object || S_ISLNK(a->mode)))
		return;
	length = snprintf(text, sizeof(text), "%" PRIu32 ":%" PRIu32 ":%" PRIu32 ":%" PRId64,
			  a->mode, a->uid, a->gid, a->mtime_ns);
	/* Best effort: not every filesystem has user xattrs. */
	(void)fsetxattr(fd, ATTRS_NAME, text, (size_t)length, 0);
}

/* Now, but later than every time given before. */
static int64_t time_of_its_own(struct dir_bucket *d)
{
	int64_t last = atomic_load(&d->last_mtime_ns), now = clock_wall_ns();

	do {
		if (now <= last)
			now = last + 1;
	} while (!atomic_compare_exchange_weak(&d->last_mtime_ns, &last, now));
	return now;
}

int dir_seal(struct dir_bucket *d, int fd, const struct object_attrs *attrs, struct object *out)
{
	int64_t now = time_of_its_own(d);
	struct timespec times[2];
	struct stat st;

	attrs_write(d, fd, attrs);
	times[0] = times[1] = (struct timespec){.tv_sec = (time_t)(now / 1000000000),
						.tv_nsec = (long)(now % 1000000000)};
	if (futimens(fd, times) != 0 || fstat(fd, &st) != 0)
		return -errno;
	dir_object(&st, out);
	if (attrs && attrs->valid)
		dir_attrs_read(fd, &out->attrs);
	return 0;
}
