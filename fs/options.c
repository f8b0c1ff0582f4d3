/* Three kinds of words come in -o: what fstab and mount(8) leave there for others (dropped), what
 * mount(2) understands (passed on), and options of the table in cache/config.c (config_set). The
 * first two are the table below.
 *
 * A comma ends an option, except after a backslash or between double quotes; a backslash before
 * anything but a comma, a quote or a backslash is itself. Blanks are as they are: the shell or
 * fstab (\040) made them. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum word_kind {
	WORD_DROP,
	WORD_DROP_PREFIX, /* the beginning of a name */
	WORD_PASS,	  /* a flag of mount(2) */
	WORD_PASS_VALUE,  /* name=value for mount(2) */
	WORD_USER, /* mount(8): implies noexec,nosuid,nodev, where not said otherwise later */
	WORD_RW,
	WORD_ALLOW,
	WORD_FORBID,
	WORD_REMOUNT,
};

struct word {
	const char *name;
	enum word_kind kind;
};

static const struct word words[] = {
    {"rw", WORD_RW},
    {"allow_other", WORD_ALLOW},
    {"noallow_other", WORD_FORBID},
    {"remount", WORD_REMOUNT},
    {"user", WORD_USER},
    {"users", WORD_USER},
    {"owner", WORD_USER},
    {"group", WORD_USER},
    {"suid", WORD_PASS},
    {"nosuid", WORD_PASS},
    {"dev", WORD_PASS},
    {"nodev", WORD_PASS},
    {"exec", WORD_PASS},
    {"noexec", WORD_PASS},
    {"sync", WORD_PASS},
    {"async", WORD_PASS},
    {"dirsync", WORD_PASS},
    {"atime", WORD_PASS},
    {"noatime", WORD_PASS},
    {"context", WORD_PASS_VALUE},
    {"fscontext", WORD_PASS_VALUE},
    {"defcontext", WORD_PASS_VALUE},
    {"rootcontext", WORD_PASS_VALUE},
    /* atime is the cache's business; the finer flags make no difference on FUSE */
    {"relatime", WORD_DROP},
    {"norelatime", WORD_DROP},
    {"strictatime", WORD_DROP},
    {"nostrictatime", WORD_DROP},
    {"diratime", WORD_DROP},
    {"nodiratime", WORD_DROP},
    {"lazytime", WORD_DROP},
    {"nolazytime", WORD_DROP},
    {"silent", WORD_DROP},
    {"loud", WORD_DROP},
    /* for mount(8), systemd and fstab's other readers */
    {"defaults", WORD_DROP},
    {"auto", WORD_DROP},
    {"noauto", WORD_DROP},
    {"nofail", WORD_DROP},
    {"_netdev", WORD_DROP},
    {"nouser", WORD_DROP},
    {"nousers", WORD_DROP},
    {"noowner", WORD_DROP},
    {"nogroup", WORD_DROP},
    {"comment", WORD_DROP},
    {"helper", WORD_DROP},
    {"uhelper", WORD_DROP},
    {"x-", WORD_DROP_PREFIX},
    {"X-", WORD_DROP_PREFIX},
    /* habits of other FUSE filesystems: both are always so */
    {"default_permissions", WORD_DROP},
    {"nonempty", WORD_DROP},
};

static const struct word *word_find(const char *name)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		const struct word *word = &words[i];
		if (word->kind == WORD_DROP_PREFIX
			? strncmp(name, word->name, strlen(word->name)) == 0
			: strcmp(name, word->name) == 0)
			return word;
	}
	return NULL;
}

/* As libfuse reads it back: backslash escapes the separators. */
static void pass(struct options *o, const char *name, const char *value)
{
	if (o->mount_options.length)
		buf_text(&o->mount_options, ",");
	buf_text(&o->mount_options, name);
	if (!value)
		return;
	buf_text(&o->mount_options, "=");
	for (; *value; value++) {
		if (*value == ',' || *value == '\\')
			buf_text(&o->mount_options, "\\");
		buf_append(&o->mount_options, value, 1);
	}
}

static int take_word(struct options *o, const struct word *word, const char *value, struct buf *why)
{
	switch (word->kind) {
	case WORD_DROP:
	case WORD_DROP_PREFIX:
		break;
	case WORD_PASS:
		pass(o, word->name, NULL);
		break;
	case WORD_PASS_VALUE:
		pass(o, word->name, value ? value : "");
		break;
	case WORD_USER:
		pass(o, "noexec,nosuid,nodev", NULL);
		break;
	case WORD_RW:
		return config_set(&o->config, "ro", "off", why);
	case WORD_ALLOW:
		o->allow_other = true;
		break;
	case WORD_FORBID:
		o->allow_other = false;
		break;
	case WORD_REMOUNT:
		buf_text(why, "a mounted bucket cannot be remounted with other options: "
			      "umount it, then mount it again");
		return -EINVAL;
	}
	return 0;
}

/* The table has named its nearest option, if one is near; here only what begins alike is offered.
 */
static void suggest(const char *name, struct buf *why)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strlen(name) > 5 && strncmp(name, words[i].name, 5) == 0) {
			buf_printf(why, ", did you mean \"%s\"?", words[i].name);
			return;
		}
}

static int take_option(struct options *o, char *text, bool sloppy, struct buf *why)
{
	char *value = strchr(text, '=');
	const struct word *word;
	int error;

	if (value)
		*value++ = 0;
	word = word_find(text);
	if (word)
		return take_word(o, word, value, why);
	if (config_find(text))
		return config_set(&o->config, text, value, why);
	if (sloppy)
		return 0;
	error = config_set(&o->config, text, value, why);
	if (!strstr(buf_string(why), "did you mean"))
		suggest(text, why);
	return error;
}

/* Cuts the first option off *rest, in place; *rest becomes NULL after the last. -EINVAL: an open
 * quote. */
static int next_option(char **rest, char **option)
{
	char *from = *rest, *to = from;
	bool quoted = false;

	*option = from;
	while (*from && (quoted || *from != ',')) {
		if (*from == '"') {
			quoted = !quoted;
			from++;
			continue;
		}
		if (*from == '\\' && from[1] && strchr(",\"\\", from[1]))
			from++;
		*to++ = *from++;
	}
	*rest = *from ? from + 1 : NULL;
	*to = 0;
	return quoted ? -EINVAL : 0;
}

static int take_list(struct options *o, const char *text, bool sloppy, struct buf *why)
{
	AUTO_FREE char *copy = strdup(text);
	char *rest = copy, *option;
	int error = copy ? 0 : -ENOMEM;

	while (error == 0 && rest) {
		error = next_option(&rest, &option);
		if (error)
			buf_text(why, "-o: a double quote is not closed");
		else if (*option)
			error = take_option(o, option, sloppy, why);
	}
	return error;
}

struct line {
	const char *lists[64]; /* the values of -o, in their order */
	unsigned lists_count;
	bool sloppy, debug;
	bool helper; /* called by mount(8) */
};

static int take_switch(struct options *o, struct line *line, int letter, struct buf *why)
{
	switch (letter) {
	case 'o':
		if (line->lists_count == sizeof(line->lists) / sizeof(*line->lists)) {
			buf_text(why, "-o is given too often");
			return -EINVAL;
		}
		line->lists[line->lists_count++] = optarg;
		break;
	case 'f':
		*(line->helper ? &o->fake : &o->foreground) = true;
		break;
	case 'd':
		o->foreground = line->debug = true;
		break;
	case 's':
		line->sloppy = true;
		break;
	case 'N':
		buf_text(why, "-N: run mount inside the other namespace instead: "
			      "nsenter --mount=FILE mount ...");
		return -EINVAL;
	case 'h':
		o->wish = OPTIONS_HELP;
		break;
	case 'V':
		o->wish = OPTIONS_VERSION;
		break;
	case 't':
	case 'n':
	case 'v':
		break; /* what mount(8) says besides: the type, no mtab, be verbose */
	default:
		return -EINVAL;
	}
	return 0;
}

static int take_line(struct options *o, struct line *line, int argc, char **argv, struct buf *why)
{
	static const struct option longs[] = {
	    {"help", no_argument, NULL, 'h'},	       {"version", no_argument, NULL, 'V'},
	    {"foreground", no_argument, NULL, 'f'},    {"debug", no_argument, NULL, 'd'},
	    {"options", required_argument, NULL, 'o'}, {NULL, 0, NULL, 0},
	};
	const char *program = strrchr(argv[0], '/');
	int letter, error = 0;

	line->helper = strcmp(program ? program + 1 : argv[0], "mount.tootfs") == 0;
	optind = 0; /* glibc: start anew */
	opterr = 0;
	while (error == 0 &&
	       (letter = getopt_long(argc, argv, ":o:t:N:fdsnvhV", longs, NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (letter == ':')
			buf_printf(why, "%s needs a value", word);
		else if (letter == '?' && optopt)
			buf_printf(why, "-%c is not an option; see tootfs --help", optopt);
		else if (letter == '?')
			buf_printf(why, "%s is not an option; see tootfs --help", word);
		error = take_switch(o, line, letter, why);
	}
	return error;
}

/* An absolute path, also of what does not exist: why not is said later, by who needs it. */
static char *absolute(const char *path)
{
	char *real = realpath(path, NULL), *folder, *joined = NULL;

	if (real || path[0] == '/')
		return real ? real : strdup(path);
	folder = getcwd(NULL, 0);
	if (!folder || asprintf(&joined, "%s/%s", folder, path) < 0)
		joined = NULL;
	free(folder);
	return joined;
}

static int take_places(struct options *o, int count, char **places, struct buf *why)
{
	if (count != 2) {
		buf_text(why, count < 2
				  ? "a bucket and a mount point are needed"
				  : "there are too many words: only a bucket and a mount point "
				    "are needed");
		buf_text(why, ": tootfs BUCKET MOUNTPOINT [-f] [-o OPTION,...]; see tootfs --help");
		return -EINVAL;
	}
	if (!places[1][0] || (strstr(places[1], "://") && places[0][0] == '/')) {
		buf_text(why, "the bucket comes first, then the mount point");
		return -EINVAL;
	}
	o->spec = strdup(places[0]);
	o->mountpoint = absolute(places[1]);
	return o->spec && o->mountpoint ? config_spec(&o->config, o->spec) : -ENOMEM;
}

int options_parse(struct options *o, int argc, char **argv, struct buf *why)
{
	struct line line = {.lists_count = 0};
	int error;

	*o = (struct options){.allow_other = geteuid() == 0};
	config_init(&o->config);
	error = take_line(o, &line, argc, argv, why);
	if (error || o->wish != OPTIONS_MOUNT)
		return error;
	error = take_places(o, argc - optind, argv + optind, why);
	if (error == 0 && line.debug)
		error = config_set(&o->config, "log_level", "debug", why);
	for (unsigned i = 0; i < line.lists_count && error == 0; i++)
		error = take_list(o, line.lists[i], line.sloppy, why);
	if (error == 0)
		error = config_finish(&o->config, why);
	if (error == 0 && o->config.log.place == LOG_PLACE_STDERR && !o->foreground) {
		buf_text(why, "log=stderr needs -f: a daemon has no stderr");
		error = -EINVAL;
	}
	return error == 0 && o->mount_options.failed ? -ENOMEM : error;
}

void options_destroy(struct options *o)
{
	config_destroy(&o->config);
	free(o->spec);
	free(o->mountpoint);
	buf_destroy(&o->mount_options);
}

/* One paragraph, broken at blanks. */
static void print_indented(FILE *out, const char *text)
{
	enum { INDENT = 8, WIDTH = 80 };
	size_t column = WIDTH;

	for (const char *word = text; *word; word += strspn(word, " ")) {
		size_t length = strcspn(word, " ");
		bool breaks = column + 1 + length > WIDTH;
		if (breaks)
			column = INDENT - 1;
		fprintf(out, "%s%*s%.*s", breaks && word != text ? "\n" : "", breaks ? INDENT : 1, "",
			(int)length, word);
		column += 1 + length;
		word += length;
	}
	fputc('\n', out);
}

static int help_row(void *arg, const struct config_option *option)
{
	FILE *out = arg;

	fprintf(out, "  %s", option->name);
	if (option->value && option->kind != CONFIG_SWITCH)
		fprintf(out, "=%s", option->value);
	if (option->fallback)
		fprintf(out, " (%s)", option->fallback);
	fputc('\n', out);
	print_indented(out, option->help);
	return 0;
}

void options_help(FILE *out)
{
	fputs("usage: tootfs BUCKET MOUNTPOINT [-f] [-o OPTION,...]\n"
	      "Mounts a bucket: s3://NAME[/PREFIX], or a folder as one: file:///FOLDER\n"
	      "\n"
	      "  -f, --foreground   stay in the foreground, log to stderr\n"
	      "  -d, --debug        the same, with log_level=debug\n"
	      "  -o OPTION,...      see below; a comma within a value is written \\,\n"
	      "  -s                 ignore unknown options\n"
	      "  -h, --help         this text\n"
	      "  -V, --version      the version\n"
	      "\n"
	      "Options, and their defaults in brackets:\n",
	      out);
	(void)config_each(help_row, out);
	fputs("  allow_other, noallow_other\n"
	      "        other users may use the mount; allowed when root mounts\n"
	      "  ro, rw, suid, dev, exec, sync, ...\n"
	      "        as for mount(8); what only concerns fstab is ignored\n"
	      "\n"
	      "Unmount with: umount MOUNTPOINT (as a user: fusermount3 -u MOUNTPOINT). More in "
	      "tootfs(8).\n",
	      out);
}
