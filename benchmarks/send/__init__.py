"""How much a recipient costs: whole `weekbrief run` processes against a bare durable sender.

python -m benchmarks.send --quick     seconds, 10,000 recipients
python -m benchmarks.send             all of it; writes RESULTS.md beside this file
"""
