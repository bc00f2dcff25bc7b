import { describe, expect, it } from 'vitest';
import { chosenTools } from './tool-choice.ts';

const tool = (name: string) => ({ type: 'function', function: { name } });
const tools = [tool('get_weather'), tool('get_time')];
const chosen = (tool_choice: Parameters<typeof chosenTools>[0]['tool_choice']) => chosenTools({ tools, tool_choice });

describe('chosenTools', () => {
  it('offers a named tool alone, and requires it', () => {
    const only = { tools: [tool('get_time')], tool_choice: 'required' };
    expect(chosen({ type: 'function', function: { name: 'get_time' } })).toEqual(only);
    expect(chosen({ name: 'get_time' })).toEqual(only);
  });

  it('offers what is allowed', () => {
    const allowed_tools = { mode: 'required', tools: [tool('get_time')] };
    expect(chosen({ type: 'allowed_tools', allowed_tools })).toEqual({ tools: [tool('get_time')], tool_choice: 'required' });
  });

  it('offers nothing when no tool may be called', () => {
    expect(chosen('none')).toEqual({ tools: undefined, tool_choice: undefined });
  });

  it.each(['auto', 'required', undefined, null])('leaves %s as it is', (choice) => {
    expect(chosen(choice)).toEqual({ tools, tool_choice: choice });
  });

  it.each([
    [{ type: 'function', function: { name: 'gone' } }, 'there is no tool "gone"'],
    [{ type: 'function' }, 'it names no tool'],
    [{ type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [] } }, 'allows none'],
  ])('refuses a choice that cannot be: %j', (choice, sentence) => {
    expect(() => chosen(choice)).toThrow(sentence);
  });
});
