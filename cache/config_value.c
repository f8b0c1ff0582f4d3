/* The values of options: text to a checked number, size, time, mode, choice or path. Pure but for
 * the current folder, which makes a relative path absolute.
 *
 * Numbers are digits only: no sign, no blank, no fraction, no overflow. What is refused is told
 * with what may be written instead. */
#include "config_table.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

static int refuse(const struct config_row *row, const char *value, struct buf *why)
{
	buf_printf(why, "%s cannot be \"%.100s\": write %s", row->option.name, value,
		   row->option.value);
	if (row->option.fallback)
		buf_printf(why, " (default: %s)", row->option.fallback);
	return -EINVAL;
}

/* Digits of a base up to the first other byte, which *end gets. false: none, or too many. */
static bool number(const char *text, unsigned base, uint64_t *out, const char **end)
{
	const char *p = text;
	uint64_t n = 0;

	for (; *p >= '0' && *p < '0' + (char)base; p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (n > (UINT64_MAX - digit) / base)
			return false;
		n = n * base + digit;
	}
	*out = n;
	*end = p;
	return p > text;
}

static bool scale(uint64_t *n, uint64_t factor)
{
	if (*n > UINT64_MAX / factor)
		return false;
	*n *= factor;
	return true;
}

static bool size_value(const char *text, uint64_t *out)
{
	static const char letters[] = "KMGT";
	const char *end, *letter;
	uint64_t factor = 1;

	if (!number(text, 10, out, &end))
		return false;
	letter = *end ? strchr(letters, *end & ~0x20) : NULL;
	if (letter) {
		end++;
		if (strcasecmp(end, "iB") == 0)
			end += 2;
		for (const char *l = letters; l <= letter; l++)
			factor *= 1024;
	}
	return *end == '\0' && scale(out, factor);
}

/* In milliseconds. */
static bool time_value(const char *text, uint64_t *out)
{
	static const struct {
		const char *suffix;
		unsigned ms;
	} units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60 * 1000}, {"h", 3600 * 1000}};
	const char *end;

	if (!number(text, 10, out, &end))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].suffix) == 0)
			return scale(out, units[i].ms);
	return false;
}

/* The position in "one|two|three", or -1. */
static int choice_value(const char *choices, const char *text)
{
	size_t length = strlen(text);
	int i = 0;

	for (const char *p = choices; *p; i++) {
		size_t n = strcspn(p, "|");

		if (n == length && memcmp(p, text, n) == 0)
			return i;
		p += n + (p[n] == '|');
	}
	return -1;
}

static int switch_value(const char *text)
{
	static const char *const words[][2] = {
	    {"off", "on"}, {"no", "yes"}, {"false", "true"}, {"0", "1"}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (int on = 0; on < 2; on++)
			if (strcasecmp(text, words[i][on]) == 0)
				return on;
	return -1;
}

int config_text_set(const char **member, const char *value)
{
	char *copy = value && value[0] ? strdup(value) : NULL;

	if (value && value[0] && !copy)
		return -ENOMEM;
	free((void *)(uintptr_t)*member);
	*member = copy;
	return 0;
}

static int path_set(const char **member, const struct config_row *row, const char *value,
		    struct buf *why)
{
	char folder[PATH_MAX];
	struct buf path = BUF_EMPTY;
	int r;

	if (value[0] == '/' || value[0] == '\0')
		return config_text_set(member, value);
	/* A shell may or may not have replaced it, and root's home is not the user's. */
	if (value[0] == '~') {
		buf_printf(why, "%s=%.100s: write the path in full, \"~\" is not replaced here",
			   row->option.name, value);
		return -EINVAL;
	}
	if (!getcwd(folder, sizeof(folder))) {
		buf_printf(why, "%s=%.100s: the current folder is unknown, write the path in full",
			   row->option.name, value);
		return -EINVAL;
	}
	buf_printf(&path, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, value);
	r = path.failed ? -ENOMEM : config_text_set(member, buf_string(&path));
	buf_destroy(&path);
	return r;
}

static int text_set(const char **member, const struct config_row *row, const char *value,
		    struct buf *why)
{
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f) {
			buf_printf(why, "%s holds a control character", row->option.name);
			return -EINVAL;
		}
	if (row->option.kind == CONFIG_PATH)
		return path_set(member, row, value, why);
	if (row->option.kind == CONFIG_CHOICE && choice_value(row->option.value, value) < 0)
		return refuse(row, value, why);
	return config_text_set(member, value);
}

/* The value as a number in the unit of the member. */
static bool numeric_value(const struct config_row *row, const char *value, int64_t *out)
{
	const char *end = "";
	uint64_t n = 0;
	bool good = false;

	switch (row->option.kind) {
	case CONFIG_SIZE:
		good = size_value(value, &n);
		break;
	case CONFIG_TIME:
		good = time_value(value, &n);
		break;
	case CONFIG_NUMBER:
		good = number(value, 10, &n, &end) && *end == '\0';
		break;
	case CONFIG_MODE:
		good = number(value, 8, &n, &end) && *end == '\0';
		break;
	case CONFIG_CHOICE:
		*out = choice_value(row->option.value, value);
		good = *out >= 0;
		*out += row->min;
		return good;
	case CONFIG_SWITCH:
		*out = switch_value(value);
		return *out >= 0;
	case CONFIG_TEXT:
	case CONFIG_PATH:
		break;
	}
	if (row->store == STORE_SECONDS)
		n /= 1000;
	*out = (int64_t)n;
	return good && n <= INT64_MAX && *out >= row->min && *out <= row->max;
}

int config_value_set(struct cache_config *c, const struct config_row *row, const char *value,
		     struct buf *why)
{
	void *member = (char *)c + row->offset;
	int64_t n;

	if (row->store == STORE_TEXT)
		return text_set(member, row, value, why);
	if (!numeric_value(row, value, &n))
		return refuse(row, value, why);
	switch (row->store) {
	case STORE_BOOL:
		*(bool *)member = n != 0;
		break;
	case STORE_INT:
		memcpy(member, &(int){(int)n}, sizeof(int));
		break;
	case STORE_U32:
	case STORE_SECONDS:
		*(uint32_t *)member = (uint32_t)n;
		break;
	case STORE_U64:
		*(uint64_t *)member = (uint64_t)n;
		break;
	case STORE_MS:
		*(int64_t *)member = n;
		break;
	case STORE_TEXT:
		break;
	}
	return 0;
}
