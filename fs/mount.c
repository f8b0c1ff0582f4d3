/* libfuse's fuse_open_channel mounts: by mount(2) as root, else by fusermount3. Both say on stderr
 * why they could not, so stderr is caught meanwhile.
 *
 * Unmounting is our own. libfuse's unmounts whatever is at the path, closes the descriptor first,
 * which cuts off who still writes, and has no answer to "busy". A mount is recognised by its device
 * number, taken with AT_STATX_DONT_SYNC, which asks no daemon: this process, about to end, could
 * not answer itself. */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#define FUSE_USE_VERSION 314
#include <fuse.h>
#include "cache/base/sanitizers.h"
#include "stack.h"

#ifdef ADDRESS_SANITIZER
/* fuse_open_channel never frees the arguments that it has parsed. Without a symbolizer only the library has a name. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libfuse3.so\n";
}
#endif

/* mountinfo writes blank, tab, newline and backslash as three octal digits. In place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = 0;
}

/* "36 35 98:0 /root /mountpoint options … - type source options": splits line; false = not such a
 * line. */
static bool mountinfo_line(char *line, const char **mountpoint, const char **type, char **source)
{
	char *fields = strstr(line, " - "), *place = line, *rest;

	if (!fields)
		return false;
	for (int i = 0; i < 4 && place; i++)
		if ((place = strchr(place, ' ')))
			place++;
	if (!place)
		return false;
	*type = fields + 3;
	rest = strchr(fields + 3, ' ');
	if (!rest)
		return false;
	*rest = 0;
	*source = rest + 1;
	(*source)[strcspn(*source, " \n")] = 0;
	place[strcspn(place, " ")] = 0;
	unescape(place);
	unescape(*source);
	*mountpoint = place;
	return true;
}

/* Looks for spec, mounted at mountpoint (NULL = anywhere). */
static bool find(const char *spec, const char *mountpoint, struct buf *where)
{
	AUTO_FREE char *line = NULL;
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	const char *place, *type;
	char *source;
	size_t space = 0;
	bool found = false;

	if (!mounts)
		return false;
	while (!found && getline(&line, &space, mounts) > 0) {
		found = mountinfo_line(line, &place, &type, &source) &&
			strcmp(type, "fuse.tootfs") == 0 && strcmp(source, spec) == 0 &&
			(!mountpoint || strcmp(mountpoint, place) == 0);
		if (found)
			buf_text(where, place);
	}
	fclose(mounts);
	return found;
}

bool mount_find(const char *spec, struct buf *where)
{
	return find(spec, NULL, where);
}

bool mount_is_at(const char *mountpoint, const char *spec)
{
	AUTO_BUF struct buf where = BUF_EMPTY;

	return find(spec, mountpoint, &where);
}

int mount_check(const char *mountpoint, const char *spec, struct buf *why)
{
	struct stat stat_now;
	bool dead = stack_dead(mountpoint);
	int error = stat(mountpoint, &stat_now) ? errno : 0;

	if (dead && geteuid() == 0 && mount_is_at(mountpoint, spec))
		return 0; /* stack.h */
	if (dead)
		error = ENOTCONN,
		buf_printf(why,
			   "%s: an earlier mount there has lost its daemon; "
			   "first run: umount -l %s (or, as a user, fusermount3 -u -z %s)",
			   mountpoint, mountpoint, mountpoint);
	else if (error == ENOENT)
		buf_printf(why, "%s: there is no such folder to mount on; make it first",
			   mountpoint);
	else if (error)
		buf_printf(why, "%s: the mount point cannot be used: %s", mountpoint,
			   strerror(error));
	else if (!S_ISDIR(stat_now.st_mode))
		buf_printf(why, "%s: the mount point is not a folder", mountpoint), error = ENOTDIR;
	else if (mount_is_at(mountpoint, spec))
		buf_printf(why, "%s is already mounted on %s", spec, mountpoint), error = EBUSY;
	return -error;
}

/* Without symlinks; of what does not exist yet, as far as it exists. NULL = no memory. */
static char *real_path(const char *path)
{
	char *copy AUTO_FREE = strdup(path);
	char *real = copy ? realpath(copy, NULL) : NULL, *joined = NULL, *slash;

	while (copy && !real && (slash = strrchr(copy, '/')) && slash != copy) {
		*slash = 0;
		real = realpath(copy, NULL);
	}
	if (!real)
		return copy ? strdup(path) : NULL;
	if (asprintf(&joined, "%s%s", real, path + strlen(copy)) < 0)
		joined = NULL;
	free(real);
	return joined;
}

static bool is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	while (length && folder[length - 1] == '/')
		length--;
	return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

int mount_check_apart(const char *mountpoint, const char *folder, const char *what, struct buf *why)
{
	AUTO_FREE char *here = real_path(mountpoint);
	AUTO_FREE char *there = real_path(folder);

	if (!here || !there)
		return -ENOMEM;
	if (!is_below(here, there) && !is_below(there, here))
		return 0;
	buf_printf(why,
		   "%s %s and the mount point %s are inside one another; choose another folder",
		   what, folder, mountpoint);
	return -ELOOP;
}

/* The line in what was caught that says it; the others go to stderr after all. */
static void say_why(int caught, struct buf *why)
{
	AUTO_FREE char *line = NULL;
	FILE *lines;
	size_t space = 0;

	if (caught < 0 || lseek(caught, 0, SEEK_SET) < 0)
		return;
	lines = fdopen(dup(caught), "r");
	if (!lines)
		return;
	while (getline(&line, &space, lines) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "fuse: ", 6) == 0 || strncmp(line, "fusermount3: ", 13) == 0) {
			buf_clear(why);
			buf_text(why, strchr(line, ' ') + 1);
		} else {
			fprintf(stderr, "%s\n", line);
		}
	}
	fclose(lines);
}

int mount_open(const char *mountpoint, const char *options, int *fd, struct buf *why)
{
	AUTO_CLOSE int stderr_now = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	AUTO_CLOSE int caught = memfd_create("stderr", MFD_CLOEXEC);
	AUTO_BUF struct buf text = BUF_EMPTY;

	if (stack_dead(mountpoint))
		return stack_open(mountpoint, options, fd, why);
	if (caught >= 0 && stderr_now >= 0)
		dup2(caught, STDERR_FILENO);
	*fd = fuse_open_channel(mountpoint, options);
	if (stderr_now >= 0)
		dup2(stderr_now, STDERR_FILENO);
	say_why(caught, &text);
	if (*fd >= 0)
		return 0;
	buf_printf(why, "%s: cannot be mounted on: %s", mountpoint,
		   text.length ? buf_string(&text) : "is the fuse3 package installed?");
	return -EIO;
}

uint64_t mount_device(const char *mountpoint)
{
	struct statx now;

	if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &now))
		return 0;
	return makedev(now.stx_dev_major, now.stx_dev_minor);
}

/* For who may not call umount(2). It is as good as its exit status. */
static int fusermount(const char *mountpoint, enum mount_leave how)
{
	const char *argv[] = {"fusermount3", "-u", "-q", "--", mountpoint, NULL, NULL};
	posix_spawnattr_t attributes;
	extern char **environ;
	sigset_t none;
	pid_t pid;
	int error, status;

	if (how == MOUNT_LEAVE_LAZY)
		argv[3] = "-z", argv[4] = "--", argv[5] = mountpoint;
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	error = posix_spawnp(&pid, argv[0], NULL, &attributes, (char **)argv, environ);
	posix_spawnattr_destroy(&attributes);
	if (error)
		return -error;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

int mount_leave(const char *mountpoint, uint64_t device, enum mount_leave how)
{
	int flags = UMOUNT_NOFOLLOW | (how == MOUNT_LEAVE_LAZY ? MNT_DETACH : 0);

	if (device == 0 || mount_device(mountpoint) != device)
		return -EINVAL;
	if (umount2(mountpoint, flags) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	return fusermount(mountpoint, how);
}
