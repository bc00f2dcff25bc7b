import { describe, expect, it } from 'vitest';
import { strangersIn } from './private-file.ts';

const ME = 'S-1-5-21-1004336348-1177238915-682003330-1001';

describe('an access list of Windows', () => {
  it.each<[string, string, string[]]>([
    ['only the owner, the system and the administrators', `D:PAI(A;;FA;;;${ME})(A;;FA;;;SY)(A;;FA;;;BA)`, []],
    ['with the file name icacls writes before it', `node.json\r\nD:PAI(A;;FA;;;SY)(A;;FA;;;${ME})\r\n`, []],
    ['what a file inherits in ProgramData', 'D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)', ['BU']],
    ['everyone', `D:P(A;;FR;;;WD)(A;;FA;;;${ME})`, ['WD']],
    ['another user', `D:P(A;;FA;;;${ME})(A;;FR;;;S-1-5-21-1-2-3-1002)`, ['S-1-5-21-1-2-3-1002']],
    ['somebody who is only refused', `D:P(D;;FA;;;BG)(A;;FA;;;${ME})`, []],
    ['an empty list, which lets nobody in', 'D:P', []],
    ['no list at all, which lets everybody in', 'O:BAG:SY', ['everybody']],
  ])('%s', (_, sddl, strangers) => {
    expect(strangersIn(sddl, ME)).toEqual(strangers);
  });
});
