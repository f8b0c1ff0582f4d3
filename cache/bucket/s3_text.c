/* Small texts that S3 servers send.
 *
 * An ETag goes back in If-Match, so it may hold nothing that would end a quoted header value.
 * Times are taken only between 1970 and 2262, where nanoseconds fit 64 bits. */
#include "s3_text.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "cache/base/key.h"

#define NS_PER_S INT64_C(1000000000)
enum { YEAR_MAX = 2261 };
#define SECONDS_MAX INT64_C(9223372035)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits at *p and moves on. 0 or -EPROTO. */
static int take_number(const char **p, uint64_t *out)
{
	uint64_t n = 0;

	if (!is_digit(**p))
		return -EPROTO;
	for (; is_digit(**p); (*p)++) {
		uint64_t digit = (uint64_t)(**p - '0');
		if (n > (UINT64_MAX - digit) / 10)
			return -EPROTO;
		n = n * 10 + digit;
	}
	*out = n;
	return 0;
}

int s3_text_number(const char *text, uint64_t *out)
{
	uint64_t n;

	if (take_number(&text, &n) || *text)
		return -EPROTO;
	*out = n;
	return 0;
}

/* ".123" as nanoseconds; what goes beyond nine digits is dropped. */
static int64_t take_fraction(const char **p)
{
	int64_t ns = 0, unit = NS_PER_S / 10;

	if (**p != '.')
		return 0;
	for ((*p)++; is_digit(**p); (*p)++) {
		ns += (**p - '0') * unit;
		unit /= 10;
	}
	return ns;
}

int64_t s3_text_iso_time(const char *text)
{
	static const struct {
		char after;
		int digits, min, max;
	} parts[] = {{'-', 4, 1970, YEAR_MAX}, {'-', 2, 1, 12}, {'T', 2, 1, 31},
		     {':', 2, 0, 23},	       {':', 2, 0, 59}, {0, 2, 0, 60}};
	int value[6];
	const char *p = text;

	for (size_t i = 0; i < 6; i++) {
		value[i] = 0;
		for (int d = 0; d < parts[i].digits; d++, p++) {
			if (!is_digit(*p))
				return 0;
			value[i] = value[i] * 10 + (*p - '0');
		}
		if (value[i] < parts[i].min || value[i] > parts[i].max)
			return 0;
		if (parts[i].after && *p++ != parts[i].after)
			return 0;
	}
	int64_t ns = take_fraction(&p);
	if (strcmp(p, "Z") != 0 && strcmp(p, "+00:00") != 0)
		return 0;
	struct tm tm = {.tm_year = value[0] - 1900,
			.tm_mon = value[1] - 1,
			.tm_mday = value[2],
			.tm_hour = value[3],
			.tm_min = value[4],
			.tm_sec = value[5]};
	return (int64_t)timegm(&tm) * NS_PER_S + ns;
}

int64_t s3_text_http_time(const char *text)
{
	int64_t seconds = (int64_t)curl_getdate(text, NULL);

	return seconds > 0 && seconds <= SECONDS_MAX ? seconds * NS_PER_S : 0;
}

void s3_text_etag(char out[ETAG_BYTES], const char *text)
{
	size_t length;

	out[0] = '\0';
	while (*text == ' ')
		text++;
	if (strncmp(text, "W/", 2) == 0)
		text += 2;
	length = strlen(text);
	if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
		text++;
		length -= 2;
	}
	if (length >= ETAG_BYTES)
		return;
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
			return;
	memcpy(out, text, length);
	out[length] = '\0';
}

void s3_text_copy(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; text[n] && n + 1 < size; n++)
		out[n] = (unsigned char)text[n] < 0x20 || text[n] == 0x7f ? '?' : text[n];
	out[n] = '\0';
}

long s3_text_decode(char *text)
{
	for (char *p = text; *p; p++)
		if (*p == '+')
			*p = ' ';
	return key_unpercent(text);
}

int s3_text_range(const char *text, struct s3_range *out)
{
	struct s3_range r;

	if (strncmp(text, "bytes ", 6) != 0)
		return -EPROTO;
	text += 6;
	if (take_number(&text, &r.first) || *text++ != '-' || take_number(&text, &r.last) ||
	    *text++ != '/' || take_number(&text, &r.size) || *text)
		return -EPROTO;
	if (r.first > r.last || r.last >= r.size)
		return -EPROTO;
	*out = r;
	return 0;
}

static bool is_mode(uint64_t mode)
{
	return mode <= 0177777 && (S_ISREG(mode) || S_ISLNK(mode) || S_ISDIR(mode));
}

/* A decimal mode with its type is at least 16384 and at most 65535. Read as decimal, an octal one
 * (rclone's 100644) is larger or starts with a zero. */
int s3_text_mode(const char *text, uint32_t *out)
{
	uint64_t n;
	char *end;

	if (s3_text_number(text, &n))
		return -EPROTO;
	if (text[0] == '0' || n > 0177777) {
		n = strtoull(text, &end, 8);
		if (*end)
			return -EPROTO;
	}
	if (!is_mode(n))
		return -EPROTO;
	*out = (uint32_t)n;
	return 0;
}

int s3_text_mtime(const char *text, int64_t *out_ns)
{
	bool negative = *text == '-';
	uint64_t seconds;
	int64_t ns;

	text += negative;
	if (take_number(&text, &seconds) || seconds > (uint64_t)SECONDS_MAX)
		return -EPROTO;
	ns = take_fraction(&text);
	if (*text)
		return -EPROTO;
	ns += (int64_t)seconds * NS_PER_S;
	*out_ns = negative ? -ns : ns;
	return 0;
}

void s3_text_mtime_write(char out[S3_MTIME_BYTES], int64_t mtime_ns)
{
	int64_t seconds = mtime_ns / NS_PER_S, ns = mtime_ns % NS_PER_S;
	const char *sign = mtime_ns < 0 ? "-" : "";

	if (seconds < 0)
		seconds = -seconds;
	if (ns < 0)
		ns = -ns;
	if (ns)
		snprintf(out, S3_MTIME_BYTES, "%s%lld.%09lld", sign, (long long)seconds,
			 (long long)ns);
	else
		snprintf(out, S3_MTIME_BYTES, "%s%lld", sign, (long long)seconds);
}
