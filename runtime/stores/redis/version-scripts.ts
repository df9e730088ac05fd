/**
 * Lua scripts for versions: one switches, one reads. A switch renames whole keys, which costs the same whatever their
 * size; nothing is copied or deleted. Everything that can fail is checked before the first rename. The names are those
 * of versioned-keys.ts.
 */

/** Parses tokens, to find the newer one; text that is not a token is older than any token. */
const TOKENS = `
local function parse(text)
  local timeline, seq = string.match(text or '', '^(%d+)%.(%d+)$')
  return tonumber(timeline), tonumber(seq)
end
`;

/**
 * KEYS: current, token. ARGV: version, token, checksum ('' none), settings ('' none), prefix of the version's notes,
 * plain prefix and name of the parts ('' and '' if there are none). Returns the SwitchResult.
 */
export const SWITCH_SCRIPT = `
local call = redis.call
${TOKENS}
local version, noted, prefix, parts = ARGV[1], ARGV[5], ARGV[6], ARGV[7]
local timeline, seq = parse(ARGV[2])
local held_timeline, held_seq = parse(call('GET', KEYS[2]))
if held_timeline and (timeline < held_timeline or (timeline == held_timeline and seq <= held_seq)) then
  return 'older'
end
if ARGV[3] ~= '' and call('GET', noted .. version .. ':checksum') ~= ARGV[3] then return 'not_staged' end
local former = call('GET', KEYS[1])
local out, into = {}, {}
if parts ~= '' then
  for _, part in ipairs(call('HKEYS', noted .. version .. ':' .. parts)) do
    if call('EXISTS', prefix .. 'v' .. version .. ':' .. part) == 1 then
      into[#into + 1] = part
    elseif former ~= version or call('EXISTS', prefix .. part) == 0 then
      return 'not_staged'
    end
  end
  if former and former ~= version then
    for _, part in ipairs(call('HKEYS', noted .. former .. ':' .. parts)) do
      if call('EXISTS', prefix .. part) == 1 then out[#out + 1] = part end
    end
  end
end
for _, part in ipairs(out) do call('RENAME', prefix .. part, prefix .. 'v' .. former .. ':' .. part) end
for _, part in ipairs(into) do call('RENAME', prefix .. 'v' .. version .. ':' .. part, prefix .. part) end
if ARGV[4] ~= '' then call('SET', noted .. version .. ':settings', ARGV[4]) end
call('SET', KEYS[1], version)
call('SET', KEYS[2], ARGV[2])
return 'switched'
`;

/**
 * KEYS: current, token. ARGV: version ('' the current one), part, prefix of the version's notes, plain prefix, name of
 * the parts. Returns found, version, token and the part's fields and values.
 */
export const READ_PART_SCRIPT = `
local call = redis.call
local current, token = call('GET', KEYS[1]), call('GET', KEYS[2])
local version, part, noted, prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if version == '' then version = current end
if not version then return { 'absent', false, token } end
local parts = noted .. version .. ':' .. ARGV[5]
local count = call('HGET', parts, part)
if not count then
  local known = call('EXISTS', parts) == 1 and call('EXISTS', noted .. version .. ':checksum') == 1
  return { known and 'no_part' or 'absent', version, token }
end
local key = prefix .. part
if version ~= current then key = prefix .. 'v' .. version .. ':' .. part end
if call('HLEN', key) ~= tonumber(count) or call('EXISTS', noted .. version .. ':checksum') == 0 then
  return { 'absent', version, token }
end
return { 'whole', version, token, call('HGETALL', key) }
`;
