"""nbgrader, set up for these lessons: copy this file into the course's folder and name the course in its first line."""

c = get_config()  # noqa: F821  # nbgrader gives it

c.CourseDirectory.course_id = "soft-prompts"
c.ClearSolutions.enabled = False  # students' notebooks are blank already, and some hold a program to be repaired
c.OverwriteCells.add_missing_cells = True  # a check that a student deleted is run all the same
c.Execute.timeout = 300  # seconds for one cell; some train a model
