/* The list that becomes lost+found/README: what happened, what to do, then a line a file, then the sums. Written as the
 * damaged index is read, so that memory does not grow with it.
 *
 *     WHAT <tab> PATH IN THE MOUNT <tab> WHAT IS KNOWN
 *
 * Bytes below 0x20, 0x7f and backslashes in paths are written as \xNN, so that a line is a line. */
#include "rescue_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"

static const char head[] =
    "tootfs lost+found\n"
    "\n"
    "The index of this cache was damaged. It was made anew from the bucket. What the bucket did\n"
    "not have yet is kept here, and is not uploaded by itself.\n"
    "\n"
    "  files/PATH            a file that was not uploaded, by its path in the mount\n"
    "  blobs/NUMBER          a cached file whose name is not known, or not for certain\n"
    "  index.mdb.damaged     the damaged index\n"
    "\n"
    "What to do: look at the lines below, then copy what you want back into the mount\n"
    "\n"
    "  cp -a --no-preserve=mode files/. MOUNTPOINT/\n"
    "\n"
    "and delete the folder lost+found. Until then it takes room on the disk beside cache_size.\n"
    "Owners, modes and extended attributes of everything else, and empty folders, were known to\n"
    "the index only (unless attrs=object): files have the default ones again.\n"
    "\n";

/* -- files in the cache folder -- */

static int open_part(int folder, const char *name, FILE **out)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	*out = fdopen(fd, "w");
	if (*out)
		return 0;
	close(fd);
	return -ENOMEM;
}

static void put_text(FILE *f, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f || *c == '\\')
			fprintf(f, "\\x%02x", *c);
		else
			fputc(*c, f);
}

int list_open(struct rescue *r, const char *damage, const struct cache_config *config)
{
	char now[32];
	time_t seconds = (time_t)(clock_wall_ns() / 1000000000);
	struct tm tm;
	int error = open_part(r->places.folder, RESCUED ".part", &r->list);
	if (!error)
		error = open_part(r->places.folder, RESCUED_UPLOADS ".part", &r->uploads);
	if (error)
		return error;
	strftime(now, sizeof(now), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&seconds, &tm));
	fputs(head, r->list);
	fprintf(r->list, "when: %s\nbucket: ", now);
	put_text(r->list, config->bucket.spec ? config->bucket.spec : "");
	fputs("\ndamage: ", r->list);
	put_text(r->list, damage);
	fprintf(r->list, "\nthe old index: %s\n\n",
		!r->facts.has_file	     ? "is gone"
		: !r->facts.identity[0] ? "cannot be read, or does not say which bucket it was for"
		: r->facts.newest ? "was read as it was when tootfs ended"
				  : "may be older than the files: a power cut, or the damage");
	return 0;
}

void list_line(struct rescue *r, const char *what, const char *path, const char *known)
{
	enum { SHOWN_MAX = 20 };
	fprintf(r->list, "%s\t", what);
	put_text(r->list, path);
	fputc('\t', r->list);
	put_text(r->list, known);
	fputc('\n', r->list);
	if (r->shown < SHOWN_MAX)
		log_error("rescue: %s: %s (%s)", what, path, known);
	else if (r->shown == SHOWN_MAX)
		log_error("rescue: and more, see the README");
	r->shown++;
}

static int finish(FILE **file)
{
	FILE *f = *file;
	int error = fflush(f) != 0 || ferror(f) ? -EIO : fsync(fileno(f)) != 0 ? -errno : 0;
	*file = NULL;
	return fclose(f) != 0 && !error ? -EIO : error;
}

int note_append(const struct places *places, const char *path, const char *known)
{
	int fd = openat(places->lost, "README", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "a");
	if (!f) {
		int error = fd < 0 ? -errno : -ENOMEM;
		if (fd >= 0)
			close(fd);
		return error;
	}
	fputs("not whole after a power cut, not sent\t", f);
	put_text(f, path);
	fputc('\t', f);
	put_text(f, known);
	fputc('\n', f);
	int error = finish(&f);
	return !error && fsync(places->lost) != 0 ? -errno : error;
}

static void put_sums(struct rescue *r)
{
	fprintf(r->list,
		"\nfiles kept: %" PRIu64 ", %" PRIu64 " bytes; of these not whole for certain: %" PRIu64 "\n"
		"kept without a name: %" PRIu64 ", %" PRIu64 " bytes\n"
		"unsent files of which nothing is left: %" PRIu64 "\n"
		"removals that had not reached the bucket (these files may be back): %" PRIu64 "\n"
		"names that had not reached the bucket: %" PRIu64 "\n"
		"changes of object headers that had not reached the bucket: %" PRIu64 "\n"
		"unfinished uploads, which are aborted: %" PRIu64 "%s\n"
		"cached copies of what the bucket has, dropped: %" PRIu64 ", %" PRIu64 " bytes\n"
		"records of the old index that could not be read: %" PRIu64 "\n",
		r->files, r->bytes, r->incomplete, r->nameless, r->nameless_bytes, r->lost, r->removals,
		r->moves, r->headers, r->uploads_count,
		r->sums.uploads_whole ? "" : "; others could not be read and stay in the bucket until a lifecycle "
					     "rule for incomplete multipart uploads removes them",
		r->dropped, r->dropped_bytes, r->sums.damaged);
	if (!r->sums.wishes_whole || !r->sums.nodes_whole)
		fputs("The old index could be read in parts only: names, removals and renames may be missing "
		      "above.\n", r->list);
}

int list_end(struct rescue *r)
{
	put_sums(r);
	int error = finish(&r->list);
	int other = finish(&r->uploads);
	return error ? error : other;
}

void list_close(struct rescue *r)
{
	if (r->list)
		fclose(r->list);
	if (r->uploads)
		fclose(r->uploads);
	r->list = r->uploads = NULL;
}

void list_log(const struct rescue *r, const char *folder)
{
	log_error("rescue: kept files=%" PRIu64 " bytes=%" PRIu64 " without_a_name=%" PRIu64 " bytes=%" PRIu64
		  " not_whole=%" PRIu64 " lost=%" PRIu64 " folder=%s/lost+found",
		  r->files, r->bytes, r->nameless, r->nameless_bytes, r->incomplete, r->lost, folder);
	if (r->removals || r->moves)
		log_error("rescue: given up because the bucket did not have them yet removals=%" PRIu64
			  " names=%" PRIu64 ": files may be back under old names", r->removals, r->moves);
	if (r->files || r->nameless)
		log_error("rescue: to get them back: cp -a --no-preserve=mode %s/lost+found/files/. MOUNTPOINT/ and "
			  "then delete %s/lost+found; its README has a line for each", folder, folder);
}
