import { createHash } from 'node:crypto';

/**
 * Decides a batch of requests at once, each against all windows of its key. A key is a list of the times, in microseconds, of the
 * requests that were let through, oldest first, and never longer than its largest limit: that takes a tenth of the memory of a sorted
 * set. Times are Redis's own, so that processes need not agree on one.
 *
 * KEYS: one for each request.
 * ARGV: the time after which nothing is to be done, since nobody waits any more; a time to decide by, or 0 for Redis's own; then for
 * each request: 1 to count it or 0 to look only, how many windows it has, and for each window its limit and its length.
 * Answers: Redis's time; then for each request: 1 if it fits or 0, and for each window how many requests it holds now, and the
 * milliseconds until the oldest of them leaves it. Redis's time alone, if it came too late.
 */
const text = `
local clock = redis.call('TIME')
local present = clock[1] * 1000000 + clock[2]
local answer = { present }
if present > tonumber(ARGV[1]) then return answer end
if ARGV[2] ~= '0' then present = tonumber(ARGV[2]) end

-- The place of the first request in [low, high) that is later than a moment, and its time. Most often it is the very first.
local function find_first(key, low, high, moment)
  local middle, found = low, nil
  while low < high do
    local time = tonumber(redis.call('LINDEX', key, middle))
    if time > moment then
      high, found = middle, time
    else
      low = middle + 1
    end
    middle = math.floor((low + high) / 2)
  end
  return low, found
end

local at = 3
for i = 1, #KEYS do
  local key, counts, windows = KEYS[i], ARGV[at] == '1', tonumber(ARGV[at + 1])
  local limits, lengths, longest = {}, {}, 0
  for w = 1, windows do
    limits[w], lengths[w] = tonumber(ARGV[at + 2 * w]), tonumber(ARGV[at + 2 * w + 1])
    longest = math.max(longest, lengths[w])
  end
  at = at + 2 + 2 * windows

  -- A clock that went back stands still until it has caught up, for at most the longest window.
  local size, now = redis.call('LLEN', key), present
  if size > 0 then
    local last = tonumber(redis.call('LINDEX', key, -1))
    if last > present + longest then
      redis.call('DEL', key)
      size = 0
    else
      now = math.max(present, last)
    end
  end

  local fits, needless, used, oldest = 1, size, {}, {}
  for w = 1, windows do
    local first
    first, oldest[w] = find_first(key, math.max(0, size - limits[w]), size, now - lengths[w])
    used[w] = size - first
    needless = math.min(needless, first)
    if used[w] >= limits[w] then fits = 0 end
  end

  if counts and fits == 1 then
    if needless > 0 then redis.call('LTRIM', key, needless, -1) end
    redis.call('RPUSH', key, string.format('%.0f', now))
    redis.call('PEXPIRE', key, string.format('%.0f', math.ceil((now - present + longest) / 1000)))
    for w = 1, windows do
      used[w], oldest[w] = used[w] + 1, oldest[w] or now
    end
  end

  answer[#answer + 1] = fits
  for w = 1, windows do
    answer[#answer + 1] = used[w]
    answer[#answer + 1] = oldest[w] and math.ceil((oldest[w] + lengths[w] - now) / 1000) or 0
  end
end
return answer
`;

/** The script, and the name under which Redis keeps it. */
export const windowsScript = { text, sha: createHash('sha1').update(text).digest('hex') };
