/* The bar is cut to the terminal's width, since a line that wraps cannot be replaced. */
#include "progress.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "cache/base/clock.h"

enum { BAR_CELLS = 24, SECOND_MS = 1000, SHOW_MS = 100 };

void progress_begin(struct progress *p, FILE *out)
{
	const char *term = getenv("TERM");

	*p = (struct progress){.out = out};
	p->terminal = isatty(fileno(out)) && (!term || strcmp(term, "dumb") != 0);
}

static int columns(FILE *out)
{
	struct winsize size;

	return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col : 80;
}

static void show_bar(struct progress *p, double part, const char *text)
{
	AUTO_BUF struct buf line = BUF_EMPTY;
	int cells = (int)(part * BAR_CELLS);

	if (part >= 0) {
		buf_text(&line, "[");
		for (int i = 0; i < BAR_CELLS; i++)
			buf_text(&line, i < cells ? "#" : ".");
		buf_printf(&line, "] %3d%%  ", (int)(part * 100));
	}
	buf_text(&line, text);
	fprintf(p->out, "\r%.*s\033[K", columns(p->out) - 1, buf_string(&line));
	fflush(p->out);
	p->shown = true;
}

void progress_show(struct progress *p, double part, const char *text)
{
	int64_t now_ms = clock_ms();

	if (p->told_ms && now_ms - p->told_ms < (p->terminal ? SHOW_MS : SECOND_MS - SHOW_MS))
		return;
	p->told_ms = now_ms;
	if (part > 1)
		part = 1;
	if (p->terminal) {
		show_bar(p, part, text);
		return;
	}
	if (part >= 0)
		fprintf(p->out, "%3d%%  %s\n", (int)(part * 100), text);
	else
		fprintf(p->out, "%s\n", text);
	fflush(p->out);
}

void progress_clear(struct progress *p)
{
	if (!p->shown)
		return;
	fputs("\r\033[K", p->out);
	fflush(p->out);
	p->shown = false;
}

void text_bytes(struct buf *out, uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		buf_printf(out, "%" PRIu64 " B", bytes);
		return;
	}
	while (value >= 1023.95 && i + 1 < sizeof(units) / sizeof(*units)) {
		value /= 1024;
		i++;
	}
	buf_printf(out, value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[i]);
}

void text_duration(struct buf *out, double seconds)
{
	uint64_t s = seconds > 0 && seconds < 1e15 ? (uint64_t)seconds : 0;

	if (s < 120)
		buf_printf(out, "%" PRIu64 " s", s);
	else if (s < 120 * 60)
		buf_printf(out, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else if (s < UINT64_C(48) * 3600)
		buf_printf(out, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
	else
		buf_printf(out, "%" PRIu64 " days %" PRIu64 " h", s / 86400, s / 3600 % 24);
}

void text_count(struct buf *out, uint64_t count, const char *one, const char *many)
{
	buf_printf(out, "%" PRIu64 " %s", count, count == 1 ? one : many);
}
