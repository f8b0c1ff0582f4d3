/* Blobs get a second name (a hard link), and lose the first only when all is done: so a rescue that is cut off at any
 * instant finds everything as it was. */
#include "rescue_place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { TRIES = 100, CUT_BYTES = 120 };

/* -- folders -- */

static int open_folder(int parent, const char *name, mode_t mode)
{
	if (mkdirat(parent, name, mode) != 0 && errno != EEXIST)
		return -errno;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int places_open(struct places *p, const char *cache_folder)
{
	p->lost = p->files = p->nameless = -1;
	p->folder = open(cache_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->folder < 0)
		return -errno;
	p->lost = open_folder(p->folder, "lost+found", 0700);
	if (p->lost < 0)
		return p->lost;
	if (fchmod(p->lost, 0700) != 0)
		return -errno;
	p->files = open_folder(p->lost, "files", 0700);
	if (p->files < 0)
		return p->files;
	p->nameless = open_folder(p->lost, "blobs", 0700);
	return p->nameless < 0 ? p->nameless : 0;
}

void places_close(struct places *p)
{
	const int fds[] = {p->folder, p->lost, p->files, p->nameless};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	p->folder = p->lost = p->files = p->nameless = -1;
}

/* -- names -- */

struct short_name {
	char text[NAME_BYTES_MAX + 1];
};

/* One that is a single name in any folder. */
static void make_name(struct short_name *out, const char *name, size_t length)
{
	int verdict = name_check(name, length);
	if (verdict == 0)
		snprintf(out->text, sizeof(out->text), "%.*s", (int)length, name);
	else if (verdict == -ENAMETOOLONG)
		snprintf(out->text, sizeof(out->text), "%.*s~cut~", CUT_BYTES, name);
	else
		snprintf(out->text, sizeof(out->text), "%%%.*s", (int)(length < 8 ? length : 8), name);
}

static void number_name(struct short_name *out, const struct short_name *name, unsigned number)
{
	char tail[16] = "";
	if (number > 1)
		snprintf(tail, sizeof(tail), "~%u~", number);
	int room = NAME_BYTES_MAX - (int)strlen(tail);
	snprintf(out->text, sizeof(out->text), "%.*s%s", room, name->text, tail);
}

static void shorten(struct short_name *name)
{
	if (strlen(name->text) > CUT_BYTES)
		strcpy(name->text + CUT_BYTES, "~cut~");
}

/* -- one place -- */

struct thing {
	struct places *places;
	const struct node_record *node; /* NULL for what has no record */
	uint64_t blob;			/* 0 = an empty file */
	const char *target;		/* of a symlink, or NULL */
};

static bool is_same(const struct thing *t, int folder, const char *name)
{
	struct stat there, here;
	char text[4096];
	int fd;
	if (fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	if (t->target) {
		ssize_t n = readlinkat(folder, name, text, sizeof(text));
		return n >= 0 && (size_t)n == strlen(t->target) && !memcmp(text, t->target, (size_t)n);
	}
	if (t->blob == 0)
		return S_ISREG(there.st_mode) && there.st_size == 0;
	if (blob_open(t->places->blobs, t->blob, &fd) != 0)
		return false;
	bool same = fstat(fd, &here) == 0 && here.st_ino == there.st_ino && here.st_dev == there.st_dev;
	close(fd);
	return same;
}

static int put(const struct thing *t, int folder, const char *name)
{
	if (t->target)
		return symlinkat(t->target, folder, name) != 0 ? -errno : 0;
	if (t->blob)
		return blob_link(t->places->blobs, t->blob, folder, name);
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : close(fd) != 0 ? -errno : 0;
}

/* Who may not give files away keeps them. */
static void dress(const struct thing *t, int folder, const char *name)
{
	const struct node_record *n = t->node;
	if (!n)
		return;
	const struct timespec times[2] = {
	    {.tv_nsec = UTIME_NOW},
	    {.tv_sec = n->mtime_ns / 1000000000 - (n->mtime_ns % 1000000000 < 0),
	     .tv_nsec = (n->mtime_ns % 1000000000 + 1000000000) % 1000000000}};
	if (fchownat(folder, name, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) != 0)
		errno = 0;
	if (utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW) != 0)
		errno = 0;
}

static int put_somewhere(const struct thing *t, int folder, struct short_name *name,
			 struct short_name *taken)
{
	int r = -EEXIST;
	for (unsigned number = 1; r == -EEXIST && number <= TRIES; number++) {
		number_name(taken, name, number);
		r = put(t, folder, taken->text);
		if (r == -ENAMETOOLONG && strlen(name->text) > CUT_BYTES) {
			shorten(name);
			number--;
			r = -EEXIST;
		} else if (r == -EEXIST && is_same(t, folder, taken->text)) {
			r = 0;
		}
	}
	if (r == 0)
		dress(t, folder, taken->text);
	return r;
}

/* The folder below *fd that is to stand for this name; *fd becomes it. */
static int enter(const struct places *p, int *fd, struct short_name *name, struct short_name *taken)
{
	int below = -EEXIST;
	for (unsigned number = 1; number <= TRIES; number++) {
		number_name(taken, name, number);
		below = open_folder(*fd, taken->text, 0700);
		if (below == -ENAMETOOLONG && strlen(name->text) > CUT_BYTES) {
			shorten(name);
			number--;
		} else if (below != -ENOTDIR && below != -ELOOP) {
			break;
		}
	}
	if (below < 0)
		return below;
	if (fchown(below, p->uid, p->gid) != 0)
		errno = 0;
	close(*fd);
	*fd = below;
	return 0;
}

int place_file(struct places *p, const char *path, const struct node_record *node, const char *target,
	       struct buf *where)
{
	const struct thing thing = {p, node, node->blob, target};
	struct short_name name, taken;
	AUTO_CLOSE int folder = fcntl(p->files, F_DUPFD_CLOEXEC, 0);
	int r = folder < 0 ? -errno : 0;
	buf_clear(where);
	buf_text(where, "files");
	for (const char *slash; r == 0 && (slash = strchr(path, '/')); path = slash + 1) {
		make_name(&name, path, (size_t)(slash - path));
		r = enter(p, &folder, &name, &taken);
		buf_printf(where, "/%s", taken.text);
	}
	if (r)
		return r;
	make_name(&name, path, strlen(path));
	r = put_somewhere(&thing, folder, &name, &taken);
	buf_printf(where, "/%s", taken.text);
	return r ? r : where->failed ? -ENOMEM : 0;
}

int place_nameless(struct places *p, uint64_t blob, struct buf *where)
{
	const struct thing thing = {p, NULL, blob, NULL};
	struct short_name name, taken;
	snprintf(name.text, sizeof(name.text), "%" PRIu64, blob);
	int r = put_somewhere(&thing, p->nameless, &name, &taken);
	buf_clear(where);
	buf_printf(where, "blobs/%s", taken.text);
	return r ? r : where->failed ? -ENOMEM : 0;
}
