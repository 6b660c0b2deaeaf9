"""Values of constants to 70 digits by mpmath, for packages/core/src/grading/value.test.ts.

Writes fixtures/values.json: LaTeX to real and imaginary part. Run: python tools/oracles/grading_values.py (mpmath 1.3)
"""

import json
from pathlib import Path

import mpmath as mp

mp.mp.dps = 90
X, Y = mp.mpf("0.7310585786300049"), mp.mpf("-2.345678901234567")
Z = "(0.7310585786300049 - 2.345678901234567 i)"
z = mp.mpc(X, Y)

REAL = {
    r"\sin": mp.sin, r"\cos": mp.cos, r"\tan": mp.tan, r"\cot": mp.cot, r"\sec": mp.sec, r"\csc": mp.csc,
    r"\sinh": mp.sinh, r"\cosh": mp.cosh, r"\tanh": mp.tanh, r"\coth": mp.coth,
    r"\arcsin": mp.asin, r"\arccos": mp.acos, r"\arctan": mp.atan,
    r"\operatorname{arsinh}": mp.asinh, r"\operatorname{artanh}": mp.atanh,
    r"\exp": mp.exp, r"\ln": mp.log,
}
values = {f"{name}({mp.nstr(X, 16)})": f(X) for name, f in REAL.items()}
values |= {f"{name}({Z})": f(z) for name, f in REAL.items()}
values |= {
    r"\sqrt{2}": mp.sqrt(2),
    r"\sqrt[3]{-5}": -mp.cbrt(5),
    r"\sqrt[7]{10}": mp.root(10, 7),
    r"(-8)^{2/3}": mp.mpf(4),
    r"\sqrt{-2}": mp.sqrt(mp.mpf(-2)),
    rf"\sqrt{{{Z}}}": mp.sqrt(z),
    r"\pi^e": mp.pi**mp.e,
    r"e^{\pi\sqrt{163}}": mp.exp(mp.pi * mp.sqrt(163)),
    r"(1+i)^{1+i}": mp.mpc(1, 1) ** mp.mpc(1, 1),
    r"i^i": mp.mpc(0, 1) ** mp.mpc(0, 1),
    r"\log_2 10": mp.log(10, 2),
    r"\frac{1}{2}!": mp.gamma(mp.mpf(3) / 2),
    r"(-\frac{5}{3})!": mp.gamma(mp.mpf(-2) / 3),
    r"20!": mp.mpf(mp.factorial(20)),
    r"\binom{7/2}{2}": mp.binomial(mp.mpf(7) / 2, 2),
    r"\sum_{k=1}^{50}\frac{1}{k^2}": mp.nsum(lambda k: 1 / k**2, [1, 50]),
    r"\frac{1+\sqrt{5}}{2}": mp.phi,
    r"\arctan 239": mp.atan(239),
    r"\sin 10^{5}": mp.sin(10**5),
    r"\ln 10^{-9}": mp.log(mp.mpf(10) ** -9),
}

target = Path(__file__).parents[2] / "packages/core/src/grading/fixtures/values.json"
target.write_text(
    json.dumps(
        {k: {"re": mp.nstr(mp.re(v), 70), "im": mp.nstr(mp.im(v), 70)} for k, v in values.items()}, indent=1
    )
    + "\n"
)
print(len(values))
