/* A mount whose daemon was killed answers ENOTCONN. Running containers have a copy of it, which nothing but a new mount on
 * top of the dead one reaches, and only where the mounts are shared: so they are made to be, and after some deaths several lie
 * on top of each other, which go together. */
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { STACKED_MAX = 1000 };

/* Splits a line of mountinfo, "36 35 98:0 /root /mountpoint options [optional…] - type source options", in place. Places of
 * volumes have no character that is escaped there. */
struct line {
	const char *place, *type;
	bool shared;
};

static bool read_line(char *text, struct line *out)
{
	char *fields = strstr(text, " - "), *place = text, *end;

	if (!fields)
		return false;
	*fields = 0;
	out->type = fields + 3;
	end = strchr(fields + 3, ' ');
	if (end)
		*end = 0;
	for (int i = 0; i < 4 && place; i++)
		if ((place = strchr(place, ' ')))
			place++;
	end = place ? strchr(place, ' ') : NULL;
	if (!end)
		return false;
	*end = 0;
	out->place = place;
	out->shared = strstr(end + 1, " shared:");
	return true;
}

unsigned mounts_count(const char *mountpoint)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	AUTO_FREE char *text = NULL;
	unsigned count = 0;
	struct line line;
	size_t space = 0;

	if (!mounts)
		return 0;
	while (getline(&text, &space, mounts) > 0)
		count += read_line(text, &line) && strcmp(line.type, "fuse.tootfs") == 0 &&
			 strcmp(line.place, mountpoint) == 0;
	fclose(mounts);
	return count;
}

static bool is_dead(const char *mountpoint)
{
	struct statx now; /* without the flag, the kernel answers for a dead daemon from memory */

	return statx(AT_FDCWD, mountpoint, AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &now) < 0 &&
	       (errno == ENOTCONN || errno == ECONNABORTED);
}

enum mounts_state mounts_look(const char *mountpoint)
{
	if (mounts_count(mountpoint) == 0)
		return MOUNTS_NONE;
	return is_dead(mountpoint) ? MOUNTS_DEAD : MOUNTS_ALIVE;
}

int mounts_take_away(const char *mountpoint, bool lazy)
{
	for (int i = 0; i < STACKED_MAX && mounts_count(mountpoint); i++) {
		int flags = UMOUNT_NOFOLLOW | (lazy || is_dead(mountpoint) ? MNT_DETACH : 0);

		if (umount2(mountpoint, flags))
			return errno == EINVAL ? 0 : -errno; /* not mounted: somebody was faster */
	}
	return 0;
}

/* Is the mount that folder is in shared? */
static bool is_shared(const char *folder)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	AUTO_FREE char *text = NULL;
	size_t space = 0, longest = 0;
	struct line line;
	bool shared = false;

	if (!mounts)
		return false;
	while (getline(&text, &space, mounts) > 0) {
		size_t length;

		if (!read_line(text, &line))
			continue;
		length = strcmp(line.place, "/") ? strlen(line.place) : 0;
		if (strncmp(line.place, folder, length) || (folder[length] && folder[length] != '/') || length < longest)
			continue;
		longest = length;
		shared = line.shared;
	}
	fclose(mounts);
	return shared;
}

int mounts_share(const char *folder)
{
	if (is_shared(folder))
		return 0;
	if (mount(folder, folder, NULL, MS_BIND, NULL) || mount(NULL, folder, NULL, MS_SHARED, NULL))
		return -errno;
	return 0;
}

/* Not every filesystem can, and a container may lack the right: then it is as it was. */
static void set_immutable(const char *folder, bool immutable)
{
	AUTO_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int flags;

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags))
		return;
	flags = immutable ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

int mounts_make_folder(const char *mountpoint)
{
	if (mkdir(mountpoint, 0755) == 0)
		set_immutable(mountpoint, true);
	else if (errno != EEXIST)
		return -errno;
	return 0;
}

int mounts_drop_folder(const char *mountpoint)
{
	if (mounts_count(mountpoint))
		return -EBUSY;
	set_immutable(mountpoint, false);
	return rmdir(mountpoint) && errno != ENOENT ? -errno : 0;
}
