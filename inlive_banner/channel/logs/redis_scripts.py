"""What the log does on the engine itself (Redis or Valkey): one script each, so that nothing can come in between.

A stream's three keys have one hash tag, and so one owner in a cluster:

* `log`: the broadcasts, as a Redis stream. The id of number n is `0-n`.
* `ids`: publish id -> `<number>:<received at>`, for as long as the log has the broadcast.
* `meta`: `head`, `oldest`, `bytes`, `epochs` (`<first number>:<epoch>,…`), and `run`, the engine's life that wrote it.

An engine that was started anew, failed over to, or filled from a backup has another `run_id`. It may have lost what it
had acknowledged before, so each life begins a new epoch at its next number: an event id is never given out twice.
"""

from __future__ import annotations

__all__ = ["APPEND", "ENTRY_BYTES", "READ_AFTER", "READ_NEWEST", "STATE", "TRIM"]

ENTRY_BYTES = 160
"""Memory that a broadcast takes on the engine besides its body: measured with Valkey 9, rounded up."""

MAX_EPOCHS = 100
"""A stream remembers so many lives of its engine. A client that comes with an older one begins at the oldest."""

_BEGIN = f"""
local log, meta, ids = KEYS[1], KEYS[2], KEYS[3]
local found = redis.call('HMGET', meta, 'run', 'head', 'oldest', 'bytes', 'epochs')
local head, oldest, bytes = tonumber(found[2] or '0'), tonumber(found[3] or '1'), tonumber(found[4] or '0')
local epochs = found[5] or ''
local function text(number) return string.format('%.0f', number) end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local lost = head > 0 and redis.call('EXISTS', log) == 0
if found[1] ~= run or lost or ARGV[2] == '1' then
    if lost then
        redis.call('DEL', ids)
        oldest, bytes = head + 1, 0
    end
    epochs = (epochs == '' and '' or epochs .. ',') .. text(head + 1) .. ':' .. ARGV[1]
    local _, count = string.gsub(epochs, ',', ',')
    if count >= {MAX_EPOCHS} then epochs = string.gsub(epochs, '^[^,]*,', '', 1) end
    redis.call('HSET', meta, 'run', run, 'head', text(head), 'oldest', text(oldest), 'bytes', text(bytes),
        'epochs', epochs)
end
local function state(...) return {{epochs, text(head), text(oldest), ...}} end
"""
"""ARGV: the name of a new epoch, should one begin; "1" where it shall."""

STATE = f"{_BEGIN} return state()"

APPEND = f"""{_BEGIN}
local places, before = {{}}, head
for i = 5, #ARGV, 3 do
    local id, received, body = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local place = redis.call('HGET', ids, id)
    if place then
        places[#places + 1] = place
    elseif bytes + #body + {ENTRY_BYTES} > tonumber(ARGV[3]) then
        places[#places + 1] = ''
    else
        head, bytes = head + 1, bytes + #body + {ENTRY_BYTES}
        place = text(head) .. ':' .. received
        redis.call('XADD', log, '0-' .. text(head), 'p', id, 't', received, 'b', body)
        redis.call('HSET', ids, id, place)
        places[#places + 1] = place
    end
end
if head > before then
    redis.call('HSET', meta, 'head', text(head), 'bytes', text(bytes))
    redis.call('SPUBLISH', ARGV[4], text(head))
end
return state(text(before), places)
"""
"""ARGV after the first two: the log's most bytes; the channel of the wake-up; then publish id, received at and body of
each draft. Gives, after the state, the head before, and a place for each draft: "" where there is no room for it."""

_READ = """
local entries, size, limit, most = {}, 0, tonumber(ARGV[4]), tonumber(ARGV[5])
local from = ARGV[3]
while #entries < 2 * limit do
    local found = read(from, math.min(500, limit - #entries / 2))
    for _, entry in ipairs(found) do
        local body = entry[2][6]
        size = size + #body
        if size > most and #entries > 0 then return state(entries) end
        entries[#entries + 1] = string.sub(entry[1], 3)
        entries[#entries + 1] = body
        from = '(' .. entry[1]
    end
    if #found < 500 then break end
end
return state(entries)
"""

READ_AFTER = f"""{_BEGIN}
local function read(from, count) return redis.call('XRANGE', log, from, '+', 'COUNT', count) end
{_READ}"""
"""ARGV after the first two: where to begin; entries at most; bytes at most. Gives, after the state, number and body of
each, in turn."""

READ_NEWEST = f"""{_BEGIN}
local function read(from, count) return redis.call('XREVRANGE', log, from, '-', 'COUNT', count) end
{_READ}"""
"""As READ_AFTER, the newest first."""

TRIM = f"""{_BEGIN}
local entries = redis.call('XRANGE', log, '-', '+', 'COUNT', tonumber(ARGV[4]))
local trimmed = 0
for _, entry in ipairs(entries) do
    local id, received, body = entry[2][2], entry[2][4], entry[2][6]
    if tonumber(received) >= tonumber(ARGV[3]) then break end
    redis.call('HDEL', ids, id)
    trimmed, bytes = trimmed + 1, bytes - #body - {ENTRY_BYTES}
    oldest = tonumber(string.sub(entry[1], 3)) + 1
end
if trimmed > 0 then
    redis.call('XTRIM', log, 'MINID', '0-' .. text(oldest))
    redis.call('HSET', meta, 'oldest', text(oldest), 'bytes', text(bytes))
end
return state(text(trimmed))
"""
"""ARGV after the first two: Unix milliseconds, from which on they stay; entries looked at, at most. Gives, after the
state, how many left."""
