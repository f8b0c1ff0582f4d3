/* The command line: our own, that of fsck(8), which gives -a, -p, -n, -y, -C and a device, and the options of the mount, which
 * come behind -o or, where that is not there, from the line of fstab(5) that has the bucket.
 *
 * In -o a comma ends an option, except after a backslash or between double quotes. Options that only a mount has are
 * passed over. */
#include <errno.h>
#include <getopt.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include "fsck.h"

enum { OPTION_DEEP = 256, OPTION_HEADERS, OPTION_JSON, OPTION_CACHE_ONLY, OPTION_ORPHANS, OPTION_REBUILD, OPTION_VERSION, OPTION_UPLOAD_AGE };

static const struct option longs[] = {
    {"deep", no_argument, NULL, OPTION_DEEP},
    {"headers", no_argument, NULL, OPTION_HEADERS},
    {"json", no_argument, NULL, OPTION_JSON},
    {"cache-only", no_argument, NULL, OPTION_CACHE_ONLY},
    {"orphans-of", required_argument, NULL, OPTION_ORPHANS},
    {"upload-age", required_argument, NULL, OPTION_UPLOAD_AGE},
    {"rebuild", no_argument, NULL, OPTION_REBUILD},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

/* Of mount(8) and fstab(5). */
static const char *const passed[] = {
    "rw",      "allow_other", "noallow_other", "user",	 "users",     "owner",	  "group",	"suid",	    "nosuid",
    "dev",     "nodev",	      "exec",	       "noexec", "sync",      "async",	  "dirsync",	"atime",    "noatime",
    "relatime", "norelatime", "strictatime",   "auto",	 "noauto",    "nouser",	  "nousers",	"defaults", "nofail",
    "_netdev", "diratime",    "nodiratime",    "lazytime", "nolazytime", "remount", "silent",	"loud",	    "iversion",
    "noiversion", "nostrictatime", "mand",     "nomand", "noowner",   "nogroup",  "context",	"fscontext",
    "defcontext", "rootcontext", "fsname",     "subtype", "nonempty", "nosymfollow", "symfollow",
};

static bool is_passed(const char *name)
{
	if (strncmp(name, "x-", 2) == 0 || strncmp(name, "X-", 2) == 0 || strncmp(name, "comment=", 8) == 0)
		return true;
	size_t length = strcspn(name, "=");
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		if (strlen(passed[i]) == length && strncmp(passed[i], name, length) == 0)
			return true;
	return false;
}

static int set_one(struct fsck *f, char *text, struct buf *why)
{
	if (!*text || is_passed(text))
		return 0;
	char *value = strchr(text, '=');
	if (value)
		*value++ = '\0';
	return config_set(&f->config, text, value, why);
}

/* One option into out; returns where the next begins. */
static const char *take_one(const char *at, char *out)
{
	bool quoted = false;

	for (; *at && (quoted || *at != ','); at++) {
		if (*at == '"') {
			quoted = !quoted;
		} else {
			if (*at == '\\' && at[1] && strchr(",\"\\", at[1]))
				at++;
			*out++ = *at;
		}
	}
	*out = '\0';
	return *at ? at + 1 : at;
}

static int set_all(struct fsck *f, const char *text, struct buf *why)
{
	AUTO_FREE char *one = malloc(strlen(text) + 1);
	int r = one ? 0 : -ENOMEM;

	while (!r && *text) {
		text = take_one(text, one);
		r = set_one(f, one, why);
	}
	return r;
}

static int set_from_fstab(struct fsck *f, struct buf *why)
{
	FILE *table = setmntent("/etc/fstab", "r");
	struct mntent *line;
	int r = -ENOENT;

	while (r == -ENOENT && table && (line = getmntent(table)) != NULL)
		if ((strcmp(line->mnt_type, "tootfs") == 0 || strcmp(line->mnt_type, "fuse.tootfs") == 0) &&
		    strcmp(line->mnt_fsname, f->spec) == 0)
			r = set_all(f, line->mnt_opts, why);
	if (table)
		endmntent(table);
	if (r == -ENOENT)
		buf_printf(why, "/etc/fstab has no line for %s, so its options are needed: -o OPTION,...", f->spec);
	return r;
}

static int take_number(struct fsck *f, int letter, struct buf *why)
{
	char *end;
	long number = strtol(optarg, &end, 10);

	if (*end || end == optarg || number > 1000000000 || number < (letter == 'C' ? -1 : 1)) {
		buf_text(why, letter == 'C' ? "-C needs the number of a file descriptor" : "--upload-age needs seconds");
		return -EINVAL;
	}
	if (letter == 'C')
		f->progress_fd = (int)number;
	else
		f->upload_age_s = number;
	return 0;
}

static int take_letter(struct fsck *f, int letter, struct buf *why)
{
	switch (letter) {
	case 'a':
	case 'p':
		f->mode = FSCK_PREEN;
		return 0;
	case 'n':
		f->mode = FSCK_NO;
		return 0;
	case 'y':
		f->mode = FSCK_YES;
		return 0;
	case 'h':
		f->help = true;
		return 0;
	case 'C':
	case OPTION_UPLOAD_AGE:
		return take_number(f, letter, why);
	case OPTION_DEEP:
		f->deep = true;
		return 0;
	case OPTION_HEADERS:
		f->headers = true;
		return 0;
	case OPTION_JSON:
		f->json = true;
		return 0;
	case OPTION_CACHE_ONLY:
		f->cache_only = true;
		return 0;
	case OPTION_ORPHANS:
		f->known = optarg;
		return 0;
	case OPTION_REBUILD:
		f->rebuild = true;
		return 0;
	case OPTION_VERSION:
		f->version = true;
		return 0;
	case 'f': /* force, verbose, no title: of fsck(8) and others of its kind */
	case 'v':
	case 'T':
		return 0;
	default:
		buf_text(why, letter == ':' ? "an option needs a value" : "this is not an option");
		return -EINVAL;
	}
}

static int finish(struct fsck *f, int argc, char **argv, const char *options, struct buf *why)
{
	int r;

	if (optind == argc) {
		buf_text(why, "the bucket is needed: s3://NAME[/PREFIX] or file:///FOLDER");
		return -EINVAL;
	}
	f->spec = argv[optind];
	if (optind + 1 < argc) {
		buf_printf(why, "only one bucket at a time, not %.100s", argv[optind + 1]);
		return -EINVAL;
	}
	if (f->rebuild && (f->known || f->cache_only || f->mode == FSCK_NO)) {
		buf_text(why, "--rebuild goes with none of -n, --cache-only, --orphans-of");
		return -EINVAL;
	}
	r = config_spec(&f->config, f->spec);
	if (!r)
		r = options ? set_all(f, options, why) : set_from_fstab(f, why);
	return r ? r : config_finish(&f->config, why);
}

int options_parse(struct fsck *f, int argc, char **argv, struct buf *why)
{
	AUTO_BUF struct buf options = BUF_EMPTY;
	bool given = false;
	int letter, r = 0;

	opterr = 0;
	while (!r && (letter = getopt_long(argc, argv, ":anpyfvTho:C:", longs, NULL)) != -1) {
		if (letter == 'o') {
			buf_printf(&options, "%s%s", given ? "," : "", optarg);
			given = true;
			continue;
		}
		r = take_letter(f, letter, why);
		if (r == -EINVAL)
			buf_printf(why, ": %.100s", argv[optind - 1]);
	}
	if (r || f->help || f->version)
		return r;
	return finish(f, argc, argv, given ? buf_string(&options) : NULL, why);
}

void options_help(FILE *out)
{
	fputs("usage: fsck.tootfs [-n|-p|-y] [OPTION...] BUCKET [-o OPTION,...]\n"
	      "Compares index, cache and bucket of a tootfs mount, and mends what differs. BUCKET and -o are those of the\n"
	      "mount; without -o they come from /etc/fstab. A cache that is mounted is checked by its daemon.\n\n"
	      "  -n                 change nothing\n"
	      "  -p, -a             mend what loses nothing, without asking\n"
	      "  -y                 mend everything that can be mended\n"
	      "  --deep             read every cached byte and compare it\n"
	      "  --headers          compare the headers of every object: one request each\n"
	      "  --cache-only       index and cached files only, without the bucket\n"
	      "  --orphans-of LIST  only tell what is in the bucket and not in LIST (- = stdin), and the reverse\n"
	      "  --rebuild          put the index aside and make a new one from the bucket\n"
	      "  --upload-age SECS  tell multipart uploads that are older; a day without it\n"
	      "  --json             a JSON object for each line\n"
	      "  -C FD              progress for programs, as e2fsck has it\n\n"
	      "Exit status: 0 clean, 1 mended, 4 not all mended, 8 failed, 16 wrong usage, 32 interrupted.\n"
	      "More in fsck.tootfs(8).\n",
	      out);
}
