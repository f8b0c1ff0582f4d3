/* What is said: to people, a line a finding on stdout and a bar on stderr; with --json, an object a line on stdout:
 * {"finding":{…}}, {"progress":{…}}, {"end":{…}}, the same that a daemon sends for /check. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cache/base/clock.h"
#include "fsck.h"

void complain(const char *fmt, ...)
{
	va_list args;

	fputs("fsck.tootfs: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

/* Control characters of a key are the terminal's to obey, so they are shown as \xNN; with broken UTF-8 JSON would fail. */
static void escape(struct buf *out, const char *bytes, bool ascii)
{
	for (const unsigned char *at = (const unsigned char *)bytes; *at; at++) {
		if (*at < 0x20 || *at == 0x7f || *at == '\\' || (ascii && *at >= 0x80))
			buf_printf(out, "\\x%02x", *at);
		else
			buf_append(out, at, 1);
	}
}

json_t *report_text(const char *bytes)
{
	AUTO_BUF struct buf text = BUF_EMPTY;
	json_t *whole = strchr(bytes, '\\') ? NULL : json_string(bytes);

	if (whole)
		return whole;
	escape(&text, bytes, true);
	return json_string(buf_string(&text));
}

void report_json(json_t *line)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

	if (text)
		puts(text);
	fflush(stdout);
	free(text);
	json_decref(line);
}

/* -- findings -- */

static const char *const outcomes[] = {"left", "mended", "failed"};

static void say(struct fsck *f, const char *code, const char *key, uint64_t blob, const char *sentence)
{
	AUTO_BUF struct buf text = BUF_EMPTY;

	progress_clear(&f->progress);
	escape(&text, key, false);
	if (!*key && blob)
		buf_printf(&text, "blob %" PRIu64, blob);
	printf("%s%s%s: %s", code, text.length ? " " : "", buf_string(&text), sentence);
}

static void say_outcome(enum check_outcome outcome, const char *mend, const char *error)
{
	if (outcome == CHECK_MENDED)
		printf("; mended: %s\n", mend ? mend : "");
	else if (outcome == CHECK_FAILED)
		printf("; mending failed: %s\n", error);
	else
		putchar('\n');
	fflush(stdout);
}

void report_finding(void *fsck, const struct check_finding *finding)
{
	const struct check_rule *rule = check_rule(finding->code);
	const char *error = finding->error ? strerror(-finding->error) : "";
	struct fsck *f = fsck;

	if (f->json) {
		report_json(json_pack("{s:{ss so sI sI ss ss ss ss}}", "finding", "code", rule->name, "key",
				      report_text(finding->key), "blob", (json_int_t)finding->blob, "size",
				      (json_int_t)finding->size, "sentence", rule->sentence, "detail", finding->detail,
				      "outcome", outcomes[finding->outcome], "error", error));
		return;
	}
	bool asked = f->asked; /* then it was told with the question */
	f->asked = false;
	if (asked && finding->outcome == CHECK_LEFT)
		return;
	say(f, rule->name, finding->key, finding->blob, asked ? "" : rule->sentence);
	if (finding->detail[0] && !asked)
		printf(" (%s)", finding->detail);
	say_outcome(finding->outcome, rule->mend, error);
}

/* On the terminal, as e2fsck does: each finding, and a question. */
bool report_ask(void *fsck, const struct check_finding *finding)
{
	const struct check_rule *rule = check_rule(finding->code);
	struct fsck *f = fsck;
	char answer[64];

	f->asked = true;
	say(f, rule->name, finding->key, finding->blob, rule->sentence);
	printf("\n  mend it (%s) <n>? ", rule->mend);
	fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

bool report_cancelled(void *fsck)
{
	struct fsck *f = fsck;

	return atomic_load(&f->cancelled);
}

/* -- progress -- */

static void show(struct fsck *f, uint64_t keys, uint64_t total, const char *what)
{
	AUTO_BUF struct buf text = BUF_EMPTY;
	double seconds = (double)(clock_ms() - f->began_ms) / 1000;
	double rate = seconds > 0 ? (double)keys / seconds : 0;

	if (f->progress_fd >= 0)
		dprintf(f->progress_fd, "1 %" PRIu64 " %" PRIu64 " %s\n", keys, total > keys ? total : keys, f->spec);
	if (f->json) {
		report_json(json_pack("{s:{sI sI ss}}", "progress", "keys", (json_int_t)keys, "total", (json_int_t)total,
				      "what", what));
		return;
	}
	buf_printf(&text, "%" PRIu64 " %s, %.0f/s", keys, what, rate);
	if (total > keys && rate > 0) {
		buf_text(&text, ", ");
		text_duration(&text, (double)(total - keys) / rate);
	}
	progress_show(&f->progress, total ? (keys < total ? (double)keys / (double)total : 1) : -1, buf_string(&text));
}

void report_progress(void *fsck, const struct check_progress *progress)
{
	show(fsck, progress->keys, progress->total, progress->what);
}

/* -- a daemon's lines -- */

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static uint64_t number_of(const json_t *object, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(object, name));

	return n > 0 ? (uint64_t)n : 0;
}

void report_line(void *fsck, const char *kind, const json_t *object)
{
	struct fsck *f = fsck;
	bool item = strcmp(kind, "item") == 0;

	if (!item && strcmp(kind, "progress"))
		return;
	if (f->json) {
		report_json(json_pack("{sO}", item ? "finding" : kind, object));
		return;
	}
	if (!item) {
		show(f, number_of(object, "keys"), number_of(object, "total"), text_of(object, "what"));
		return;
	}
	const char *outcome = text_of(object, "outcome");
	say(f, text_of(object, "code"), text_of(object, "key"), number_of(object, "blob"), text_of(object, "sentence"));
	if (*text_of(object, "detail"))
		printf(" (%s)", text_of(object, "detail"));
	say_outcome(!strcmp(outcome, "mended")	 ? CHECK_MENDED
		    : !strcmp(outcome, "failed") ? CHECK_FAILED
						 : CHECK_LEFT,
		    text_of(object, "mend"), text_of(object, "error"));
}

/* -- the end -- */

static int end(struct fsck *f, const json_t *sums)
{
	uint64_t damage = number_of(sums, "damage"), left = number_of(sums, "left"), mended = number_of(sums, "mended");
	uint64_t notes = number_of(sums, "notes"), unlisted = number_of(sums, "unlisted");
	AUTO_BUF struct buf text = BUF_EMPTY;

	progress_clear(&f->progress);
	if (!f->json) {
		text_bytes(&text, number_of(sums, "bytes"));
		printf("%s: %s: %" PRIu64 " files, %" PRIu64 " objects (%s); %" PRIu64 " damaged, %" PRIu64 " mended, %" PRIu64
		       " left; %" PRIu64 " notes; %" PRIu64 " waiting to be sent",
		       f->spec, left ? "NOT CLEAN" : damage ? "mended" : "clean", number_of(sums, "files"),
		       number_of(sums, "objects"), buf_string(&text), damage, mended, left, notes,
		       number_of(sums, "pending"));
		if (unlisted)
			printf("; %" PRIu64 " objects in folders that were not listed yet", unlisted);
		putchar('\n');
	}
	return left ? FSCK_LEFT : damage ? FSCK_CORRECTED : FSCK_CLEAN;
}

int report_end_json(struct fsck *f, const json_t *sums)
{
	int status = end(f, sums);

	if (f->json)
		report_json(json_pack("{sO}", "end", sums));
	return status;
}

int report_end(struct fsck *f, const struct check_sums *s)
{
	json_t *sums = json_pack("{sI sI sI sI sI sI sI sI sI sI}", "error", (json_int_t)0, "objects",
				 (json_int_t)s->objects, "files", (json_int_t)s->files, "bytes", (json_int_t)s->bytes,
				 "unlisted", (json_int_t)s->unlisted, "pending", (json_int_t)s->pending, "damage",
				 (json_int_t)s->damage, "mended", (json_int_t)s->mended, "left", (json_int_t)s->left, "notes",
				 (json_int_t)s->notes);
	int status = sums ? report_end_json(f, sums) : FSCK_ERROR;

	json_decref(sums);
	return status;
}
