/* Which files go, and when.
 *
 * The file index.damaged: damage was found, so the next start must not take the index for whole. It is written by who finds
 * damage in an index in use, and by who changes a damaged one to read it; it goes when the index does. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/base/log.h"
#include "internal.h"

#define NAME "index.damaged"
static const char mended_text[] = "meta pages were put back\n";

int index_note_damage(int folder_fd, bool mended)
{
	size_t length = mended ? sizeof(mended_text) - 1 : 0;
	AUTO_CLOSE int fd =
	    openat(folder_fd, NAME, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, mended_text, length) != (ssize_t)length)
		return -EIO;
	return fsync(fd) != 0 || fsync(folder_fd) != 0 ? -errno : 0;
}

bool index_has_damage(int folder_fd)
{
	return faccessat(folder_fd, NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool index_was_mended(int folder_fd)
{
	struct stat st;
	return fstatat(folder_fd, NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0;
}

void index_damaged(struct index *index)
{
	if (atomic_exchange(&index->damaged, true))
		return;
	int rc = index->read_only ? 0 : index_note_damage(index->folder_fd, false);
	log_error("index: it is damaged, unmount it and mount it again: what was not uploaded is then "
		  "kept, and everything else comes back from the bucket%s%s",
		  rc ? " error=" : "", rc ? strerror(-rc) : "");
}

int index_condemn(const char *folder)
{
	AUTO_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : index_note_damage(fd, false);
}

int index_remove(const char *folder)
{
	static const char *const files[] = {"index.mdb", "index.mdb-lock", "journal", "steady", "steady.old"};
	AUTO_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (unlinkat(fd, files[i], 0) != 0 && errno != ENOENT)
			return -errno;
	return 0;
}
