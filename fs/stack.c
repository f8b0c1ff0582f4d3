/* The mount(2) of a FUSE filesystem needs an open /dev/fuse, the root's type and an owner; the rest of the options are either flags or
 * go on to the kernel as they are. */
#include "stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/base/log.h"
#include "mount.h"

enum { STACKED_MAX = 100 };

bool stack_dead(const char *mountpoint)
{
	struct statx now; /* of a living one the daemon is asked: the kernel still knows the attributes of a dead one */

	return statx(AT_FDCWD, mountpoint, AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &now) < 0 && errno == ENOTCONN;
}

/* A copy of the mount that the folder is in has nothing mounted on it. */
int stack_below(const char *mountpoint, struct stat *out)
{
	AUTO_FREE char *parent = strdup(mountpoint);
	char *slash = parent ? strrchr(parent, '/') : NULL;

	if (!slash || !slash[1])
		return parent ? -EINVAL : -ENOMEM;
	*slash = 0;
	AUTO_CLOSE int copy = open_tree(AT_FDCWD, slash == parent ? "/" : parent, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (copy < 0)
		return -errno;
	return fstatat(copy, slash + 1, out, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

struct parts {
	unsigned long flags;
	struct buf source, type, data;
};

static void take_word(struct parts *p, const char *word)
{
	static const struct {
		const char *name;
		unsigned long set, clear;
	} flags[] = {
	    {"ro", MS_RDONLY, 0},	{"suid", 0, MS_NOSUID},	      {"nosuid", MS_NOSUID, 0},
	    {"dev", 0, MS_NODEV},	{"nodev", MS_NODEV, 0},	      {"exec", 0, MS_NOEXEC},
	    {"noexec", MS_NOEXEC, 0},	{"sync", MS_SYNCHRONOUS, 0},  {"async", 0, MS_SYNCHRONOUS},
	    {"dirsync", MS_DIRSYNC, 0}, {"atime", 0, MS_NOATIME},     {"noatime", MS_NOATIME, 0},
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		if (strcmp(word, flags[i].name) == 0) {
			p->flags = (p->flags | flags[i].set) & ~flags[i].clear;
			return;
		}
	}
	if (strncmp(word, "fsname=", 7) == 0)
		buf_text(&p->source, word + 7);
	else if (strncmp(word, "subtype=", 8) == 0)
		buf_printf(&p->type, "fuse.%s", word + 8);
	else
		buf_printf(&p->data, ",%s", word);
}

/* Words end at commas; a backslash takes the next character as it is. */
static void take_words(struct parts *p, const char *options)
{
	AUTO_BUF struct buf word = BUF_EMPTY;

	for (;; options++) {
		if (*options && *options != ',') {
			options += *options == '\\' && options[1];
			buf_append(&word, options, 1);
			continue;
		}
		if (word.length)
			take_word(p, buf_string(&word));
		buf_clear(&word);
		if (!*options)
			return;
	}
}

static int mount_it(const char *mountpoint, struct parts *p, int *fd)
{
	*fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return -errno;
	AUTO_BUF struct buf data = BUF_EMPTY;
	buf_printf(&data, "fd=%d,rootmode=40000,user_id=%u,group_id=%u%s", *fd, (unsigned)getuid(), (unsigned)getgid(),
		   buf_string(&p->data));
	int error = data.failed || p->data.failed || p->type.failed || p->source.failed ? -ENOMEM : 0;
	if (!error && mount(buf_string(&p->source), mountpoint, buf_string(&p->type), p->flags, buf_string(&data)))
		error = -errno;
	if (error) {
		close(*fd);
		*fd = -1;
	}
	return error;
}

int stack_open(const char *mountpoint, const char *options, int *fd, struct buf *why)
{
	struct parts parts = {.flags = MS_NOSUID | MS_NODEV};

	take_words(&parts, options);
	int error = mount_it(mountpoint, &parts, fd);
	if (error)
		buf_printf(why, "%s: cannot be mounted on the dead mount there: %s", mountpoint, strerror(-error));
	else
		log_info("mounted on top of a mount that had lost its daemon, so that containers see it again mountpoint=%s",
			 mountpoint);
	buf_destroy(&parts.source);
	buf_destroy(&parts.type);
	buf_destroy(&parts.data);
	return error;
}

void stack_clear(const char *mountpoint, const char *spec)
{
	for (int i = 0; i < STACKED_MAX && stack_dead(mountpoint) && mount_is_at(mountpoint, spec); i++)
		if (umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW))
			return;
}
