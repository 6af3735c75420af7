"""What runs beside a student's code: one adapter an exercise, plain data in and plain data out.

Nothing here knows a right answer. A grader gives its child process this folder and none of its neighbours.
"""
