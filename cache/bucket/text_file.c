/* Reading what a user wrote, and refusing secrets that others can read.
 *
 * The checks are made on the open descriptor, never on the path, so that what was checked is what
 * is read. O_NONBLOCK keeps a FIFO at that path from hanging the mount. Links are followed: Docker
 * and Kubernetes hand secrets out as links, and who can change the link can change the option as
 * well.
 *
 * Why another user's file is refused for a secret: its owner could rewrite it and so choose where
 * the files of this mount go. Mastodon's own env file is different for root, since whoever owns it
 * decides where Mastodon's media go anyway. */
#include "text_file.h"
#include "ops.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int owner_check(const char *path, enum text_file_care care, const struct stat *st)
{
	uid_t self = geteuid();

	if (st->st_uid == self || st->st_uid == 0 || (care == TEXT_FILE_SHARED_SECRET && self == 0))
		return 0;
	return fault_set(
	    -EACCES, false,
	    "%s belongs to user id %u, who could change it; it must belong to user id %u "
	    "or to root: chown %u %s",
	    path, (unsigned)st->st_uid, (unsigned)self, (unsigned)self, path);
}

static int care_check(const char *path, enum text_file_care care, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return fault_set(-EINVAL, false, "%s is not a regular file", path);
	if (st->st_size > TEXT_FILE_BYTES_MAX)
		return fault_set(-EINVAL, false,
				 "%s is larger than %d bytes: not a text file of ours", path,
				 TEXT_FILE_BYTES_MAX);
	if (care == TEXT_FILE_OPEN)
		return 0;
	if (st->st_mode & 077)
		return fault_set(
		    -EACCES, false,
		    "%s holds secrets and can be used by others (mode %04o): chmod 600 %s", path,
		    (unsigned)st->st_mode & 07777, path);
	return owner_check(path, care, st);
}

static int read_whole(const char *path, int fd, size_t space, struct text_file *out)
{
	while (out->length < space) {
		ssize_t n = read(fd, out->text + out->length, space - out->length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fault_set(-EIO, false, "cannot read %s: %s", path, strerror(errno));
		if (n == 0)
			break;
		out->length += (size_t)n;
	}
	out->text[out->length] = '\0';
	if (memchr(out->text, '\0', out->length))
		return fault_set(-EINVAL, false, "%s contains a NUL byte: not a text file", path);
	return 0;
}

int text_file_read(const char *path, enum text_file_care care, struct text_file *out)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r;

	memset(out, 0, sizeof(*out));
	if (fd < 0) {
		r = errno == ENOENT || errno == ENOTDIR ? -ENOENT : -EACCES;
		return fault_set(r, false, "cannot open %s: %s", path, strerror(errno));
	}
	if (fstat(fd, &st) != 0)
		return fault_set(-EIO, false, "cannot stat %s: %s", path, strerror(errno));
	r = care_check(path, care, &st);
	if (r)
		return r;
	out->mode = (unsigned)st.st_mode & 07777;
	out->owner = (unsigned)st.st_uid;
	out->text = malloc((size_t)st.st_size + 1);
	if (!out->text)
		return fault_set(-ENOMEM, false, "no memory to read %s", path);
	r = read_whole(path, fd, (size_t)st.st_size, out);
	if (r)
		text_file_wipe(out);
	return r;
}

void text_file_wipe(struct text_file *f)
{
	if (f->text)
		explicit_bzero(f->text, f->length);
	free(f->text);
	f->text = NULL;
	f->length = 0;
}
