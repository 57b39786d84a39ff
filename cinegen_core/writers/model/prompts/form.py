"""How an episode is to be written down."""

EPISODE = """\
Form of the answer
- `title`, `logline` (one sentence), `synopsis` (three or four), `protagonist` (a cue of the bible), `question` (what the \
episode asks), `truth` (the answer, which may stay back), `stake` (what is lost if it goes wrong).
- `scenes`: three to five. Each has a `slugline` (INT. or EXT. PLACE - TIME), planned `seconds`, `wants` and `block` (who \
wants what of whom, and what stands in the way), `turn` (what is different afterwards), `subject` (the thing or secret it \
is about), `holder` (the cue of who keeps it), `reveals` (whether it comes out here), `tension` (0 to 10), and `lines`.
- `lines`: in order, each with `speaker` (the person's `cue` from the bible; empty for description), `manner` (a \
parenthetical, mostly empty) and `text`. About half of the lines or more are speeches.
- `choices`: three that the protagonist can make at the end, about something of the last scene, each with another `axis` \
("truth / safety"), an `anchor` (the person or thing it acts on), a `consequence` that costs something, and the `effects` on \
the story. The first is the one that the series goes on with.
- What the episode leaves behind: `learned` (who now knows what, and how), `bonds` (a change of trust from -2 to 2), \
`threads_opened` and `threads_closed` (questions), `happened` (sentences that later episodes have to obey).
"""


def length(minutes: float) -> str:
    """How much to write; 150 to 230 words of script to a minute."""
    return f"Length: {minutes:g} minutes, {round(150 * minutes)} to {round(230 * minutes)} words in all lines together.\n"
