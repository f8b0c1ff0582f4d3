/* Rules files and mime.types, read in place.
 *
 * Rules file:
 *     line    = [PATTERN {blank field "=" value}] ["#" comment]
 *     field   = content_type | cache_control | acl | storage_class | sse
 *     value   = word | "text with blanks"
 * A '#' starts a comment where a word could start. All that would make a broken or split header is
 * refused here, so that nothing behind it has to look again.
 *
 * mime.types, of the mime-support package and of nginx (with braces and semicolons):
 *     type {blank extension} */
#include "rules.h"
#include "ops.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char *const field_names[RULE_FIELDS] = {
    [RULE_CONTENT_TYPE] = "content_type",
    [RULE_CACHE_CONTROL] = "cache_control",
    [RULE_ACL] = "acl",
    [RULE_SSE] = "sse",
    [RULE_STORAGE_CLASS] = "storage_class",
};

static const char *const acls[] = {
    "none",
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    NULL,
};
static const char *const encryptions[] = {"none", "AES256", "aws:kms", "aws:kms:dsse", NULL};

static bool is_one_of(const char *value, const char *const *list)
{
	while (*list && strcmp(*list, value) != 0)
		list++;
	return *list != NULL;
}

static bool is_header_text(const char *value)
{
	size_t length = strlen(value);

	if (length == 0 || length > 1024 || value[0] == ' ' || value[length - 1] == ' ')
		return false;
	for (; *value; value++)
		if (*value < ' ' || *value > '~')
			return false;
	return true;
}

int rules_check(enum rule_field field, const char *value)
{
	if (field == RULE_ACL && !is_one_of(value, acls))
		return fault_set(
		    -EINVAL, false,
		    "acl cannot be \"%.64s\": write public-read, private, none, or another "
		    "canned ACL of S3",
		    value);
	if (field == RULE_SSE && !is_one_of(value, encryptions))
		return fault_set(
		    -EINVAL, false,
		    "sse cannot be \"%.64s\": write AES256, aws:kms, aws:kms:dsse or none", value);
	if (field == RULE_STORAGE_CLASS &&
	    strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != strlen(value) &&
	    strcmp(value, "none") != 0)
		return fault_set(
		    -EINVAL, false,
		    "storage_class cannot be \"%.64s\": it is a word in capitals such as "
		    "STANDARD_IA",
		    value);
	if (!is_header_text(value))
		return fault_set(-EINVAL, false,
				 "%s must be 1 to 1024 printable ASCII characters with no blank at "
				 "either end",
				 field_names[field]);
	return 0;
}

/* Takes the next word, or NULL at the end of the line. A double quote may stand anywhere in a
 * word, as in cache_control="public, max-age=60"; it is taken out. *bad: a quote is not closed. */
static char *word_cut(char **line, bool *bad)
{
	char *p = *line + strspn(*line, " \t\r"), *word = p, *out = p;
	bool quoted = false;

	if (*p == '\0' || *p == '#')
		return NULL;
	for (; *p && (quoted || !strchr(" \t\r", *p)); p++) {
		if (*p == '"')
			quoted = !quoted;
		else
			*out++ = *p;
	}
	*line = *p ? p + 1 : p;
	*out = '\0';
	*bad = quoted;
	return word;
}

static int field_of(const char *word, size_t length)
{
	for (int f = 0; f < RULE_FIELDS; f++)
		if (strlen(field_names[f]) == length && memcmp(field_names[f], word, length) == 0)
			return f;
	return -1;
}

static int wrong(const char *path, unsigned line, const char *what)
{
	return fault_set(-EINVAL, false, "%s line %u: %s", path, line, what);
}

static int rule_parse(char *line, const char *path, unsigned number, rules_visit *visit, void *arg)
{
	const char *values[RULE_FIELDS] = {NULL};
	bool bad = false, some = false;
	char *pattern = word_cut(&line, &bad), *word;

	if (!pattern)
		return 0;
	if (*pattern == '\0' || bad)
		return wrong(path, number, "a pattern is missing, or its quote is not closed");
	while ((word = word_cut(&line, &bad))) {
		size_t length = strcspn(word, "=");
		int f = field_of(word, length);

		if (bad)
			return wrong(path, number, "a quote is not closed");
		if (f < 0 || word[length] != '=')
			return wrong(path, number,
				     "after the pattern come content_type=, cache_control=, acl=, "
				     "storage_class= or sse=, with no blank around the '='");
		if (rules_check((enum rule_field)f, word + length + 1))
			return wrong(path, number, bucket_why());
		values[f] = word + length + 1;
		some = true;
	}
	if (!some)
		return wrong(path, number, "the rule sets nothing: PATTERN field=value");
	return visit(arg, pattern, values);
}

int rules_parse(char *text, const char *path, rules_visit *visit, void *arg)
{
	unsigned number = 1;

	for (char *line = text, *next; line; line = next, number++) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';

		int r = rule_parse(line, path, number, visit, arg);
		if (r)
			return r;
	}
	return 0;
}

static int mime_line(char *line, mime_types_visit *visit, void *arg)
{
	const char *blanks = " \t\r;";
	char *rest = NULL, *type, *extension;

	line[strcspn(line, "#")] = '\0';
	type = strtok_r(line, blanks, &rest);
	if (!type || !strchr(type, '/') || !is_header_text(type))
		return 0;
	while ((extension = strtok_r(NULL, blanks, &rest))) {
		int r = strpbrk(extension, "{}./") ? 0 : visit(arg, extension, type);

		if (r)
			return r;
	}
	return 0;
}

int mime_types_parse(char *text, mime_types_visit *visit, void *arg)
{
	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';

		int r = mime_line(line, visit, arg);
		if (r)
			return r;
	}
	return 0;
}
