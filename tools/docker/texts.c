/* A text is written beside, under a hidden name that no volume can have, and renamed: FOLDER/.new.N to FOLDER/NAME. What a
 * killed process left of that is removed when the folder is opened; a lock file (.lock) keeps a second plugin out. */
#include "texts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "cache/base/whole.h"
#include "request.h"

struct texts {
	int fd, lock_fd;
	bool durable;
	_Atomic unsigned serial;
};

static int make_folders(const char *folder)
{
	AUTO_FREE char *path = strdup(folder);

	if (!path)
		return -ENOMEM;
	for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		if (mkdir(path, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

/* visit gets each entry but . and .. */
static int each_entry(struct texts *s, texts_visit *visit, void *arg)
{
	int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!folder) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	for (errno = 0; r == 0 && (entry = readdir(folder)); errno = 0)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			r = visit(arg, entry->d_name);
	if (r == 0 && errno)
		r = -errno;
	closedir(folder);
	return r;
}

static int drop_leftover(void *arg, const char *name)
{
	struct texts *s = arg;

	if (strncmp(name, ".new.", 5) == 0 && unlinkat(s->fd, name, 0) && errno != ENOENT)
		return -errno;
	return 0;
}

static int lock_folder(struct texts *s)
{
	s->lock_fd = openat(s->fd, ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		return -errno;
	return flock(s->lock_fd, LOCK_EX | LOCK_NB) ? (errno == EWOULDBLOCK ? -EBUSY : -errno) : 0;
}

int texts_open(const char *folder, bool durable, struct texts **out)
{
	struct texts *s = calloc(1, sizeof(*s));
	int r = s ? make_folders(folder) : -ENOMEM;

	*out = NULL;
	if (!s)
		return r;
	s->durable = durable;
	s->lock_fd = -1;
	s->fd = r ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!r && s->fd < 0)
		r = -errno;
	if (!r)
		r = lock_folder(s);
	if (!r)
		r = each_entry(s, drop_leftover, s);
	if (r)
		texts_close(&s);
	*out = s;
	return r;
}

void texts_close(struct texts **texts)
{
	struct texts *s = *texts;

	*texts = NULL;
	if (!s)
		return;
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static int write_beside(struct texts *s, const char *beside, const char *text)
{
	AUTO_CLOSE int fd = openat(s->fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : whole_write(fd, text, strlen(text), 0);

	if (!r && s->durable && fsync(fd))
		r = -errno;
	return r;
}

int texts_put(struct texts *s, const char *name, const char *text)
{
	char beside[32];
	int r;

	snprintf(beside, sizeof(beside), ".new.%u", atomic_fetch_add(&s->serial, 1));
	r = write_beside(s, beside, text);
	if (!r && renameat(s->fd, beside, s->fd, name))
		r = -errno;
	if (r)
		(void)unlinkat(s->fd, beside, 0);
	else if (s->durable && fsync(s->fd))
		r = -errno;
	return r;
}

int texts_drop(struct texts *s, const char *name)
{
	if (unlinkat(s->fd, name, 0))
		return errno == ENOENT ? 0 : -errno;
	return s->durable && fsync(s->fd) ? -errno : 0;
}

int texts_get(struct texts *s, const char *name, char **text, size_t *length)
{
	AUTO_CLOSE int fd = openat(s->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat now;
	ssize_t got;

	*text = NULL;
	if (fd < 0 || fstat(fd, &now))
		return -errno;
	if (!S_ISREG(now.st_mode))
		return -EINVAL;
	if (now.st_size > TEXTS_BYTES_MAX)
		return -EFBIG;
	*text = malloc((size_t)now.st_size + 1);
	if (!*text)
		return -ENOMEM;
	got = whole_read(fd, *text, (size_t)now.st_size, 0);
	if (got < 0) {
		free(*text);
		*text = NULL;
		return (int)got;
	}
	(*text)[got] = 0;
	*length = (size_t)got;
	return 0;
}

struct only_names {
	texts_visit *visit;
	void *arg;
};

static int visit_name(void *arg, const char *name)
{
	const struct only_names *only = arg;

	return request_name_good(name) ? only->visit(only->arg, name) : 0;
}

int texts_each(struct texts *s, texts_visit *visit, void *arg)
{
	struct only_names only = {visit, arg};

	return each_entry(s, visit_name, &only);
}
